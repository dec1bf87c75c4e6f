//! `render`: writes the objects of an install to files, one folder for each cluster, without contacting a cluster.
//! They are the objects of the steps without tokens, which only an install has, and without the labels of an
//! install: a later install treats them as foreign and uses them unchanged.

mod external;
mod folder;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use secrecy::SecretString;
use serde_json::{Value, json};

use external::external;
pub use folder::write;

use crate::guide::Step;
use crate::history::CONSENT;
use crate::k8s::apply::PLACEHOLDER;
use crate::k8s::kinds;
use crate::k8s::record::{CLAIM, CLIENT_SECRET};
use crate::login::Login;
use crate::manifests;
use crate::mesh::{Address, ClusterName};
use crate::planned::{Place, objects};
use crate::problem::{Exit, Problem};
use crate::settings::Settings;
use crate::steps::{ScrapeTarget, kiali};

/// The order of the kinds in file names, which is the order in which to apply them.
const ORDER: [&str; 15] = [
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
    "NetworkPolicy",
    "PersistentVolumeClaim",
];

/// Kinds that a cluster administrator must create so that a namespace admin can create the rest.
const ADMIN_KINDS: [&str; 4] = [
    "Namespace",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
];

pub struct RenderOptions {
    pub home: ClusterName,
    pub remotes: Vec<ClusterName>,
    pub namespace: String,
    pub settings: Settings,
    /// The exposed address of each cluster's Prometheus.
    pub targets: BTreeMap<ClusterName, Address>,
    pub kustomize: bool,
    /// Render only what a cluster administrator must create.
    pub rbac: bool,
    /// The ClusterSecretStore with the kubeconfigs and the client secret; if None, the user or an install fills the
    /// Secrets.
    pub store: Option<String>,
}

impl RenderOptions {
    /// Whether a store fills the other Secrets, but none those with certificates.
    pub fn lacks_certificates(&self) -> bool {
        let has_certificates = self.settings.exposure.mutual_tls() && self.settings.store.is_none();
        self.store.is_some() && has_certificates && !self.rbac
    }
}

/// File contents by path. The same input gives the same files.
pub type Files = BTreeMap<String, String>;

pub fn files(options: &RenderOptions) -> Result<Files> {
    let targets = targets(options)?;
    let mut files = Files::new();
    for cluster in std::iter::once(&options.home).chain(&options.remotes) {
        let mut names = BTreeSet::new();
        for object in of_cluster(options, cluster, &targets)? {
            let name = file_name(&object)?;
            files.insert(
                format!("{}/{name}", cluster.as_folder()),
                manifests::to_yaml(&object)?,
            );
            names.insert(name);
        }
        if options.kustomize {
            let text = manifests::to_yaml(&json!({
                "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
                "resources": names,
            }))?;
            files.insert(format!("{}/kustomization.yaml", cluster.as_folder()), text);
        }
    }
    Ok(files)
}

/// The scrape targets, home first. With --rbac or a store, none are needed.
fn targets(options: &RenderOptions) -> Result<Vec<ScrapeTarget>, Problem> {
    let all = || std::iter::once(&options.home).chain(&options.remotes);
    let distinct = all().collect::<BTreeSet<_>>();
    let wrong = |cause: String| Problem::new(Exit::Usage, cause);
    if distinct.len() <= options.remotes.len() {
        return Err(wrong("two clusters have the same name".into()).fix(
            "give each cluster once, by its Istio cluster ID (global.multiCluster.clusterName)",
        ));
    }
    if let Some(unknown) = options.targets.keys().find(|name| !distinct.contains(name)) {
        return Err(
            wrong(format!("--target {unknown} does not match any cluster"))
                .fix("use a name given to --home or --remote"),
        );
    }
    let missing = all().filter(|name| !options.targets.contains_key(name));
    let missing = missing.map(ToString::to_string).collect::<Vec<_>>();
    if !missing.is_empty() && !options.rbac && options.settings.store.is_none() {
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
    let known = all().filter_map(|name| Some((name, options.targets.get(name)?)));
    let targets = known.map(|(cluster, address)| ScrapeTarget {
        mutual_tls: options.settings.exposure.mutual_tls() && address.https().is_none(),
        ..ScrapeTarget::of(cluster, address)
    });
    Ok(targets.collect())
}

fn of_cluster(
    options: &RenderOptions,
    cluster: &ClusterName,
    targets: &[ScrapeTarget],
) -> Result<Vec<Value>> {
    let place = Place {
        cluster,
        home: *cluster == options.home,
        namespace: &options.namespace,
        settings: &options.settings,
        revision: None,
        assigns_users: false,
        targets,
    };
    let each = objects(&place)?
        .into_iter()
        .map(|(step, object)| match step {
            Step::RemoteSecret => without_tokens(options, object),
            Step::ExposePrometheus | Step::AggregateMetrics => {
                with_consent(without_certificates(object))
            }
            _ => object,
        });
    let mut all = each.collect::<Vec<_>>();
    if !options.rbac {
        let login = options.settings.login.as_ref().filter(|_| place.home);
        all.extend(login.map(|login| without_client_secret(options, login)));
        return Ok(all);
    }
    all.retain(|object| ADMIN_KINDS.iter().any(|kind| object["kind"] == *kind));
    all.extend(manifests::render(manifests::NAMESPACE_ADMIN, json!({}))?);
    Ok(all)
}

/// The Secret without kubeconfigs. Applied unchanged, it gives Kiali no remotes until an install fills it.
fn without_tokens(options: &RenderOptions, mut secret: Value) -> Value {
    let remotes = options.remotes.iter().map(ToString::to_string);
    let remotes = remotes.collect::<Vec<_>>();
    if let Some(store) = &options.store {
        return external(&secret, &remotes, store);
    }
    let missing = remotes.join(", ");
    let text = format!("add a kubeconfig to data for each of: {missing}");
    secret["metadata"]["annotations"] = json!({PLACEHOLDER: text});
    if let Some(secret) = secret.as_object_mut() {
        secret.remove("data");
    }
    secret
}

/// The Secret for certificates, which an install creates in it: a key exists only in the cluster that uses it, and in no
/// store.
fn without_certificates(mut object: Value) -> Value {
    if object["kind"] == "Secret" {
        let text = "ambikiali install fills in the certificates";
        object["metadata"]["annotations"] = json!({PLACEHOLDER: text});
    }
    object
}

/// A claim that an install on top may use, as the user chose.
fn with_consent(mut object: Value) -> Value {
    if object["kind"] == CLAIM {
        let (key, value) = CONSENT;
        object["metadata"]["annotations"] = json!({key: value});
    }
    object
}

/// The Secret without the client secret, which an install or the user fills in.
fn without_client_secret(options: &RenderOptions, login: &Login) -> Value {
    let mut secret = kiali::client_secret(&options.namespace, &SecretString::default());
    if let Some(store) = &options.store {
        return external(&secret, &[CLIENT_SECRET.into()], store);
    }
    let text = format!(
        "add the secret of client {} to data as {CLIENT_SECRET}",
        login.client_id
    );
    secret["metadata"]["annotations"] = json!({PLACEHOLDER: text});
    if let Some(secret) = secret.as_object_mut() {
        secret.remove("data");
    }
    secret
}

/// The file name, which depends only on the object's kind, namespace and name.
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
