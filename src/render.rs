//! `render`: the objects of an install as files, one folder for each cluster, without a cluster. They are
//! the steps' own, but for the tokens, which only an install has, and they carry no label of an install: to
//! one that comes later they are somebody else's, which it uses as they are.

mod folder;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::{Value, json};

pub use folder::write;

use crate::guide::Step;
use crate::images::Images;
use crate::k8s::apply::PLACEHOLDER;
use crate::k8s::kinds;
use crate::manifests;
use crate::mesh::{Address, ClusterName};
use crate::planned::{Place, objects};
use crate::problem::{Exit, Problem};
use crate::steps::{ScrapeTarget, remote_secret};

/// Files in the order in which they are to be applied: by their names.
const ORDER: [&str; 13] = [
    "Namespace",
    "CustomResourceDefinition",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "ExternalSecret",
    "Service",
    "Deployment",
    "Gateway",
    "HTTPRoute",
    "Kiali",
];

/// What an administrator must make so that the admin of two namespaces can make the rest.
const OF_AN_ADMIN: [&str; 4] = [
    "Namespace",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
];

pub struct Wanted {
    pub home: ClusterName,
    pub remotes: Vec<ClusterName>,
    pub namespace: String,
    pub images: Images,
    /// Where the Prometheus of each cluster is exposed.
    pub targets: BTreeMap<ClusterName, Address>,
    pub kustomize: bool,
    /// Only what an administrator must make.
    pub rbac: bool,
    /// The ClusterSecretStore that has the kubeconfigs; else somebody fills the Secret.
    pub store: Option<String>,
}

/// Text by path, the same for the same wishes.
pub type Files = BTreeMap<String, String>;

pub fn files(wanted: &Wanted) -> Result<Files> {
    let targets = targets(wanted)?;
    let mut files = Files::new();
    for cluster in std::iter::once(&wanted.home).chain(&wanted.remotes) {
        let mut names = BTreeSet::new();
        for object in of_cluster(wanted, cluster, &targets)? {
            let name = file_name(&object)?;
            files.insert(
                format!("{}/{name}", cluster.as_folder()),
                manifests::to_yaml(&object)?,
            );
            names.insert(name);
        }
        if wanted.kustomize {
            let text = manifests::to_yaml(&json!({
                "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
                "resources": names,
            }))?;
            files.insert(format!("{}/kustomization.yaml", cluster.as_folder()), text);
        }
    }
    Ok(files)
}

/// Home's first. Who only wants what an administrator makes needs none.
fn targets(wanted: &Wanted) -> Result<Vec<ScrapeTarget>, Problem> {
    let all = || std::iter::once(&wanted.home).chain(&wanted.remotes);
    let distinct = all().collect::<BTreeSet<_>>();
    let wrong = |cause: String| Problem::new(Exit::Usage, cause);
    if distinct.len() <= wanted.remotes.len() {
        return Err(wrong("two clusters have the same name".into()).fix(
            "give each cluster once, by its Istio cluster ID (global.multiCluster.clusterName)",
        ));
    }
    if let Some(unknown) = wanted.targets.keys().find(|name| !distinct.contains(name)) {
        return Err(
            wrong(format!("--target {unknown} does not match any cluster"))
                .fix("use a name given to --home or --remote"),
        );
    }
    let missing = all().filter(|name| !wanted.targets.contains_key(name));
    let missing = missing.map(ToString::to_string).collect::<Vec<_>>();
    if !missing.is_empty() && !wanted.rbac {
        let cause = format!(
            "--target is missing for {}; render contacts no cluster, so it cannot look up the address of a Gateway",
            missing.join(", ")
        );
        let flags = missing
            .iter()
            .map(|name| format!("--target {name}=HOST:9090"));
        let flags = flags.collect::<Vec<_>>().join(" ");
        return Err(wrong(cause).fix(format!(
            "add {flags}; to find the address: kubectl -n istio-system get gateway prometheus-gateway"
        )));
    }
    let known = all().filter_map(|name| Some((name, wanted.targets.get(name)?)));
    let targets = known.map(|(cluster, address)| ScrapeTarget::of(cluster, address));
    Ok(targets.collect())
}

fn of_cluster(
    wanted: &Wanted,
    cluster: &ClusterName,
    targets: &[ScrapeTarget],
) -> Result<Vec<Value>> {
    let place = Place {
        cluster,
        home: *cluster == wanted.home,
        namespace: &wanted.namespace,
        images: &wanted.images,
        revision: None,
        assigns_users: false,
        targets,
    };
    let each = objects(&place)?
        .into_iter()
        .map(|(step, object)| match step {
            Step::RemoteSecret => without_tokens(wanted, object),
            _ => object,
        });
    if !wanted.rbac {
        return Ok(each.collect());
    }
    let mut all = each.collect::<Vec<_>>();
    all.retain(|object| OF_AN_ADMIN.iter().any(|kind| object["kind"] == *kind));
    all.extend(manifests::render(manifests::NAMESPACE_ADMIN, json!({}))?);
    Ok(all)
}

/// Applied as it is it gives Kiali no remote, and an install fills it.
fn without_tokens(wanted: &Wanted, mut secret: Value) -> Value {
    if let Some(store) = &wanted.store {
        return remote_secret::external(&wanted.namespace, &wanted.remotes, store);
    }
    let remotes = wanted.remotes.iter().map(ToString::to_string);
    let missing = remotes.collect::<Vec<_>>().join(", ");
    let said = format!("add a kubeconfig to data for each of: {missing}");
    secret["metadata"]["annotations"] = json!({PLACEHOLDER: said});
    if let Some(secret) = secret.as_object_mut() {
        secret.remove("data");
    }
    secret
}

/// The same as long as the object is called the same.
fn file_name(object: &Value) -> Result<String> {
    let id = kinds::id(object)?;
    let place = ORDER.iter().position(|kind| *kind == id.kind);
    let parts = [Some(id.kind.to_lowercase()), id.namespace, Some(id.name)];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    let place = place.unwrap_or(ORDER.len());
    Ok(format!("{place:02}-{}.yaml", parts.join("-")))
}

#[cfg(test)]
mod tests;
