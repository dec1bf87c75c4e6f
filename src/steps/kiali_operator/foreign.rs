//! Foreign operators and a foreign CRD: whether they can be used unchanged.

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::{CRD, crd};
use crate::k8s::record::Key;
use crate::k8s::request::send;
use crate::k8s::{Scope, apply};
use crate::manifests;
use crate::mesh::pages;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

/// The label of every operator from the published chart.
const LABEL: &str = "app.kubernetes.io/name=kiali-operator";
const KNOWN: &str = "v2.";

/// Fails unless a foreign CRD, newer or older, accepts our CRs.
pub fn serves(scope: &Scope<'_>, live: &Value) -> Result<()> {
    let Some(cause) = not_served(live)? else {
        return Ok(());
    };
    let cluster = scope.cluster;
    let cause = format!(
        "{}: CustomResourceDefinition {CRD} {cause}; it was not changed",
        cluster.name
    );
    Err(Problem::new(Exit::Conflict, cause).fix(serve(scope)).into())
}

/// The fix.
pub fn serve(scope: &Scope<'_>) -> String {
    format!(
        "have its owner serve v1alpha1 with a spec that is an object: {} get crd {CRD} -o yaml",
        scope.cluster.kubectl
    )
}

/// Why a foreign CRD cannot be used.
pub fn not_served(live: &Value) -> Result<Option<String>> {
    let ours = crd()?;
    let versions = live["spec"]["versions"].as_array().into_iter().flatten();
    let served = versions.filter(|v| v["served"] == true);
    let served = served.collect::<Vec<_>>();
    let wanted = ours["spec"]["versions"][0]["name"].as_str();
    let wanted = wanted.unwrap_or_default();
    let Some(version) = served.iter().find(|v| v["name"] == wanted) else {
        let names = served.iter().filter_map(|v| v["name"].as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        return Ok(Some(format!(
            "already exists and serves {names}, but not {wanted}"
        )));
    };
    let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["type"];
    let is_object = spec.is_null() || spec == "object";
    let cause = || format!("already exists, and its {wanted} has a spec that is no object");
    Ok((!is_object).then(cause))
}

/// A foreign operator, if there is one.
pub async fn foreign(scope: &Scope<'_>) -> Result<Option<Deployment>> {
    let api = Api::<Deployment>::all(scope.cluster.client.clone());
    let list = ListParams::default().labels(LABEL);
    let all = ObjectId::cluster_wide("Deployments", LABEL);
    let found = send(scope, &all, || pages::list(&api, &list)).await?;
    let key = |d: &Deployment| Key::named("apps/v1", "Deployment", &d.metadata);
    let ours = |d: &Deployment| scope.record.owns(&key(d), &d.metadata);
    Ok(found.into_iter().find(|d| !ours(d)))
}

pub fn id(operator: &Deployment) -> ObjectId {
    let meta = &operator.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    ObjectId::new("Deployment", &text(&meta.namespace), &text(&meta.name))
}

pub fn adopt(scope: &Scope<'_>, operator: &Deployment) -> Result<String> {
    let id = id(operator);
    if let Some(cause) = unusable(operator) {
        let cause = format!("{}: {id} {cause}", scope.cluster.name);
        return Err(Problem::new(Exit::Conflict, cause)
            .fix(bring(scope, &id))
            .into());
    }
    let mut live = serde_json::to_value(operator)?;
    live["apiVersion"] = json!("apps/v1");
    live["kind"] = json!("Deployment");
    apply::reuse(scope, &live, &live)?;
    Ok(format!("{id} was there before, reused"))
}

/// Why a foreign operator cannot be used: only one version is known to support our CR.
pub fn unusable(operator: &Deployment) -> Option<String> {
    let version = version(operator);
    let known = version.is_some_and(|version| version.starts_with(KNOWN));
    let version = version.unwrap_or("unknown");
    let cause =
        || format!("was there before, of version {version}; only {KNOWN}x is known to serve");
    (!known).then(cause)
}

/// The fix for an unsupported operator.
pub fn bring(scope: &Scope<'_>, id: &ObjectId) -> String {
    let namespace = id.namespace.as_deref().unwrap_or_default();
    format!(
        "bring it to {}, or remove it: {} -n {namespace} get deployment {} --show-labels",
        manifests::KIALI_VERSION,
        scope.cluster.kubectl,
        id.name
    )
}

/// The operator itself reads this label from its pod.
fn version(operator: &Deployment) -> Option<&str> {
    let template = &operator.spec.template;
    let labels = template.metadata.as_ref()?.labels.as_ref()?;
    labels.get("version").map(String::as_str)
}
