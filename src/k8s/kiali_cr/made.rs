//! What the operator makes for a CR. It does not watch what it made: what somebody deletes stays away
//! until the CR changes or is touched.

use anyhow::Result;
use futures::future::join_all;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::k8s::apply::Applied;
use crate::k8s::health::{Health, Kiali, KialiFence};
use crate::k8s::look::Component;
use crate::k8s::request::{Refusal, send_opt};
use crate::k8s::{Scope, kinds};
use crate::progress::ObjectId;

const NAME: &str = "kiali";
const ACCOUNT: &str = "kiali-service-account";
const SIGNING_KEY: &str = "kiali-signing-key";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// What of it is not there although the operator was done with the CR, as `applied` found it: it made all
/// of it once, and will make none of it again by itself.
pub async fn lacking(scope: &Scope<'_>, applied: &Applied) -> Result<Vec<ObjectId>> {
    let Some(before) = applied.before.as_ref().filter(|before| is_done(before)) else {
        return Ok(Vec::new());
    };
    let mut lacking = Vec::new();
    for (object, there) in looked(scope, is_remote(before)).await {
        if !there? {
            lacking.push(object);
        }
    }
    Ok(lacking)
}

/// The same for `status`, without the server, which has a line of its own.
pub async fn missing(scope: &Scope<'_>, remote: bool) -> Vec<Component> {
    let looked = looked(scope, remote).await.into_iter();
    let others = looked.filter(|(object, _)| object.kind != "Deployment");
    others
        .filter_map(|(object, there)| {
            let health = match there {
                Ok(true) => return None,
                Ok(false) => Health::Failed(
                    "gone, and the operator does not look after it: run install again".into(),
                ),
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

async fn looked(scope: &Scope<'_>, remote: bool) -> Vec<(ObjectId, Result<bool, Refusal>)> {
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
async fn rights(scope: &Scope<'_>) -> Vec<(ObjectId, Result<bool, Refusal>)> {
    let api = Api::<ClusterRoleBinding>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("ClusterRoleBinding", NAME);
    let binding = match send_opt(scope, &object, || api.get(NAME)).await {
        Ok(Some(binding)) => binding,
        Ok(None) => return vec![(object, Ok(false))],
        Err(refusal) => return vec![(object, Err(refusal))],
    };
    let role = ObjectId::cluster_wide("ClusterRole", &binding.role_ref.name);
    let there = is_there(scope, RBAC, &role).await;
    vec![(role, there)]
}

async fn is_there(
    scope: &Scope<'_>,
    api_version: &str,
    object: &ObjectId,
) -> Result<bool, Refusal> {
    let named = json!({
        "apiVersion": api_version, "kind": object.kind,
        "metadata": {"name": object.name, "namespace": object.namespace},
    });
    let client = &scope.cluster.client;
    // Of a built-in kind: it is always known.
    let api: Api<DynamicObject> = match kinds::api(client, &named) {
        Ok(api) => api,
        Err(_) => return Ok(true),
    };
    let found = send_opt(scope, object, || api.get_metadata(&object.name)).await?;
    Ok(found.is_some())
}
