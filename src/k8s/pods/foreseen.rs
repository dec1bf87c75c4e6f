//! Predicts in a dry run what the waits for Deployments would write to existing ones.

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::Value;

use super::{CONFIG_ANNOTATION, all_newer, labelled};
use crate::k8s::apply::{Applied, Outcome};
use crate::k8s::change::{self, What};
use crate::k8s::request::send_opt;
use crate::k8s::{Scope, health, write};
use crate::progress::ObjectId;

/// For a Deployment whose pods were refused.
pub async fn foreseen(scope: &Scope<'_>, object: &ObjectId) -> Result<()> {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let api = Api::<Deployment>::namespaced(scope.cluster.client.clone(), namespace);
    let live = send_opt(scope, object, || api.get(&object.name)).await?;
    if live.as_ref().and_then(health::refused).is_some() {
        change::annotated(scope, object, write::RETRY);
    }
    Ok(())
}

/// For a Deployment with a ConfigMap, which older pods may not have read.
pub async fn foreseen_with(
    scope: &Scope<'_>,
    applied: &[Applied],
    object: &ObjectId,
    labels: &str,
) -> Result<()> {
    let of_kind = |kind: &str| applied.iter().find(|a| a.live["kind"] == kind);
    if let (Some(config), Some(deployment)) = (of_kind("ConfigMap"), of_kind("Deployment"))
        && is_unchanged(deployment)
    {
        let namespace = object.namespace.as_deref().unwrap_or_default();
        let rolls = match config.outcome {
            Outcome::Created | Outcome::Changed => true,
            _ => !all_newer(&labelled(scope, namespace, labels).await?, &config.live),
        };
        if rolls {
            change::touched(scope, object, What::Change, CONFIG_ANNOTATION);
        }
    }
    foreseen(scope, object).await
}

/// Whether the pod template is unchanged.
fn is_unchanged(deployment: &Applied) -> bool {
    let template = |live: &Value| live.pointer("/spec/template").cloned();
    let before = deployment.before.as_ref().and_then(template);
    before.is_some() && before == template(&deployment.live)
}
