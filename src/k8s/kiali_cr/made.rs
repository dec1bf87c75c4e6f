//! What the operator makes for a CR. It does not watch what it made: what somebody deletes stays away
//! until the CR changes or is touched.

use anyhow::Result;
use futures::future::join_all;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, Subject};
use kube::Api;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::k8s::apply::Applied;
use crate::k8s::health::{Health, Kiali, KialiFence};
use crate::k8s::look::Component;
use crate::k8s::request::{Refusal, send_opt};
use crate::k8s::{Scope, kinds};
use crate::progress::ObjectId;
use crate::visible;

const NAME: &str = "kiali";
const ACCOUNT: &str = "kiali-service-account";
const SIGNING_KEY: &str = "kiali-signing-key";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// How one of these objects was found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Gone,
    There,
    /// A binding that gives its rights to these besides, whom the operator does not name.
    Shared(String),
}

/// What of it is not there although the operator was done with the CR, as `applied` found it: it made all
/// of it once, and will make none of it again by itself.
pub async fn lacking(scope: &Scope<'_>, applied: &Applied) -> Result<Vec<ObjectId>> {
    let Some(before) = applied.before.as_ref().filter(|before| is_done(before)) else {
        return Ok(Vec::new());
    };
    let mut lacking = Vec::new();
    for (object, there) in looked(scope, is_remote(before)).await {
        if there? == Found::Gone {
            lacking.push(object);
        }
    }
    Ok(lacking)
}

/// The same for `status`, without the server, which has a line of its own, and with what bindings give
/// away.
pub async fn missing(scope: &Scope<'_>, remote: bool) -> Vec<Component> {
    let (looked, bound) = tokio::join!(looked(scope, remote), bound(scope));
    let looked = looked.into_iter().chain(bound);
    let others = looked.filter(|(object, _)| object.kind != "Deployment");
    others
        .filter_map(|(object, there)| {
            let health = match there {
                Ok(Found::There) => return None,
                Ok(Found::Gone) => Health::Failed(
                    "gone, and the operator does not look after it: run install again".into(),
                ),
                Ok(Found::Shared(others)) => Health::Failed(format!(
                    "gives Kiali's rights to {others} too, which the operator does not look after: {}",
                    edit(scope, &object)
                )),
                Err(refusal) => Health::Failed(refusal.text()),
            };
            Some(Component::new(object, health))
        })
        .collect()
}

/// What is missing is of interest once the operator is done with its CR, the first of these.
pub fn with_missing(mut components: Vec<Component>, missing: Vec<Component>) -> Vec<Component> {
    let done = components.first().map(|cr| &cr.health) == Some(&Health::Ready);
    components.extend(missing.into_iter().filter(|_| done));
    components
}

/// Says what is about to be made again.
pub fn told(scope: &Scope<'_>, lacking: &[ObjectId]) {
    for object in lacking {
        let said = format!("{object} is gone; the operator makes it again");
        scope.progress.note(said);
    }
}

/// Whether Kiali cannot work without it for a moment: it does not take up again what it lost.
pub fn is_for_rights(lacking: &[ObjectId]) -> bool {
    let rights = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"];
    lacking
        .iter()
        .any(|object| rights.contains(&object.kind.as_str()))
}

fn is_done(cr: &Value) -> bool {
    let cr = serde_json::from_value::<Kiali>(cr.clone());
    cr.is_ok_and(|cr| KialiFence::default().judge(Some(&cr)) == Health::Ready)
}

fn is_remote(cr: &Value) -> bool {
    cr["spec"]["deployment"]["remote_cluster_resources_only"] == true
}

async fn looked(scope: &Scope<'_>, remote: bool) -> Vec<(ObjectId, Result<Found, Refusal>)> {
    let core = |kind, name| ("v1", kind, name);
    let mut needed = vec![core("ServiceAccount", ACCOUNT), core("ConfigMap", NAME)];
    if !remote {
        needed.push(core("Secret", SIGNING_KEY));
        needed.push(core("Service", NAME));
        needed.push(("apps/v1", "Deployment", NAME));
    }
    let namespaced = needed.into_iter().map(async |(version, kind, name)| {
        let object = ObjectId::new(kind, scope.namespace, name);
        let there = is_there(scope, version, &object).await;
        (object, there)
    });
    let (namespaced, rights) = tokio::join!(join_all(namespaced), rights(scope));
    namespaced.into_iter().chain(rights).collect()
}

/// The binding, and the role that it names, whichever of Kiali's two that is.
async fn rights(scope: &Scope<'_>) -> Vec<(ObjectId, Result<Found, Refusal>)> {
    let api = Api::<ClusterRoleBinding>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("ClusterRoleBinding", NAME);
    let binding = match send_opt(scope, &object, || api.get(NAME)).await {
        Ok(Some(binding)) => binding,
        Ok(None) => return vec![(object, Ok(Found::Gone))],
        Err(refusal) => return vec![(object, Err(refusal))],
    };
    let role = ObjectId::cluster_wide("ClusterRole", &binding.role_ref.name);
    let there = is_there(scope, RBAC, &role).await;
    vec![
        (object, Ok(given(scope, binding.subjects.as_deref()))),
        (role, there),
    ]
}

/// The binding in Kiali's own namespace, which not every operator makes, and not everybody may read.
async fn bound(scope: &Scope<'_>) -> Option<(ObjectId, Result<Found, Refusal>)> {
    let api = Api::<RoleBinding>::namespaced(scope.cluster.client.clone(), scope.namespace);
    let object = ObjectId::new("RoleBinding", scope.namespace, NAME);
    let binding = send_opt(scope, &object, || api.get(NAME)).await.ok()??;
    Some((object, Ok(given(scope, binding.subjects.as_deref()))))
}

fn given(scope: &Scope<'_>, subjects: Option<&[Subject]>) -> Found {
    let others = others(scope.namespace, subjects.unwrap_or_default());
    match others.is_empty() {
        true => Found::There,
        false => Found::Shared(visible::short(&others.join(", "), visible::SAID).into_owned()),
    }
}

/// All but Kiali's own account.
fn others(namespace: &str, subjects: &[Subject]) -> Vec<String> {
    let is_kialis = |subject: &&Subject| {
        subject.kind == "ServiceAccount"
            && subject.name == ACCOUNT
            && subject.namespace.as_deref() == Some(namespace)
    };
    let others = subjects.iter().filter(|subject| !is_kialis(subject));
    others
        .map(
            |Subject {
                 kind,
                 name,
                 namespace,
                 ..
             }| match namespace {
                Some(namespace) => format!("{kind} {namespace}/{name}"),
                None => format!("{kind} {name}"),
            },
        )
        .collect()
}

fn edit(scope: &Scope<'_>, binding: &ObjectId) -> String {
    let kubectl = &scope.cluster.kubectl;
    let kind = binding.kind.to_lowercase();
    let namespace = binding.namespace.as_ref().map(|name| format!(" -n {name}"));
    let namespace = namespace.unwrap_or_default();
    format!("{kubectl}{namespace} edit {kind} {}", binding.name)
}

async fn is_there(
    scope: &Scope<'_>,
    api_version: &str,
    object: &ObjectId,
) -> Result<Found, Refusal> {
    let named = json!({
        "apiVersion": api_version, "kind": object.kind,
        "metadata": {"name": object.name, "namespace": object.namespace},
    });
    let client = &scope.cluster.client;
    // Of a built-in kind: it is always known.
    let api: Api<DynamicObject> = match kinds::api(client, &named) {
        Ok(api) => api,
        Err(_) => return Ok(Found::There),
    };
    let found = send_opt(scope, object, || api.get_metadata(&object.name)).await?;
    Ok(match found {
        Some(_) => Found::There,
        None => Found::Gone,
    })
}
