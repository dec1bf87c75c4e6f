//! Whether the pods of a Deployment run what it says. Admission policies and webhooks may also change only the pods.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use super::{is_ready, labelled};
use crate::k8s::{Scope, additions, write};
use crate::progress::ObjectId;

/// How the newest ready pod differs from its Deployment. Returns None if it cannot be read, which others report.
pub async fn admitted(scope: &Scope<'_>, object: &ObjectId) -> Option<String> {
    let namespace = object.namespace.as_deref()?;
    let named = json!({
        "apiVersion": "apps/v1", "kind": object.kind,
        "metadata": {"namespace": namespace, "name": object.name},
    });
    let deployment = match scope.seen(&named) {
        Some(Some(seen)) => seen.clone(),
        _ => write::read(scope, &named, object).await.ok()??,
    };
    let deployment: Deployment = serde_json::from_value(deployment).ok()?;
    let labels = deployment.spec.selector.match_labels.iter().flatten();
    let labels = labels.map(|(name, value)| format!("{name}={value}"));
    let labels = labels.collect::<Vec<_>>().join(",");
    let pods = labelled(scope, namespace, &labels).await.ok()?;
    changed(&deployment, &pods)
}

fn changed(deployment: &Deployment, pods: &[Pod]) -> Option<String> {
    let pod = pods.iter().rev().find(|pod| is_ready(pod))?;
    let template = serde_json::to_value(&deployment.spec.template).ok()?;
    let fields = additions::changed_pod(&template, &serde_json::to_value(pod).ok()?);
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let fields = (!fields.is_empty()).then(|| additions::listed(&fields))?;
    Some(format!(
        "an admission policy or webhook of the cluster changes its pod {name} at {fields}"
    ))
}

/// Reports it during an install, of a Deployment and its pods, the oldest first.
pub fn tell(scope: &Scope<'_>, object: &ObjectId, deployment: &Deployment, pods: &[Pod]) {
    if let Some(other) = changed(deployment, pods) {
        note(scope, object, &other);
    }
}

/// Reads the Deployment and its pods, and reports it during an install.
pub async fn tell_admitted(scope: &Scope<'_>, object: &ObjectId) {
    if let Some(other) = admitted(scope, object).await {
        note(scope, object, &other);
    }
}

fn note(scope: &Scope<'_>, object: &ObjectId, other: &str) {
    scope.progress.note(format!("{object}: {other}; left so"));
}
