//! Pure health functions: an object is ready, in progress or failed. A wait calls them after each change, `status`
//! and `verify` once.

mod claim;
mod gateway;
mod kiali;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodCondition, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

pub use claim::claim;
pub use gateway::{
    Gateway, HttpRoute, gateway, http_route, load_balancer, narrowed, own_address, unseen,
};
pub use kiali::{Kiali, KialiFence, has_failed, is_behind};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not ready yet, with the reason.
    InProgress(String),
    Ready,
    /// Waiting will not help, with the reason.
    Failed(String),
}

fn missing() -> Health {
    Health::InProgress("not found".into())
}

/// Rolled out at its current generation. kube's own predicate accepts the previous rollout.
pub fn deployment(deployment: Option<&Deployment>) -> Health {
    let Some(deployment) = deployment else {
        return missing();
    };
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.metadata.generation {
        return Health::InProgress("the controller has not observed the change yet".into());
    }
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let condition = |name: &str| {
        status
            .conditions
            .iter()
            .flatten()
            .find(|c| c.type_.as_deref() == Some(name))
    };
    if let Some(stalled) =
        condition("Progressing").filter(|c| c.reason.as_deref() == Some("ProgressDeadlineExceeded"))
    {
        return Health::Failed(stalled.message.clone().unwrap_or_default());
    }
    if let Some(cause) = refused(deployment) {
        return Health::Failed(cause);
    }
    let available = status.available_replicas.unwrap_or(0);
    let updated = status.updated_replicas.unwrap_or(0);
    let all = status.replicas.unwrap_or(0);
    match () {
        () if wanted == 0 => Health::InProgress("scaled to 0".into()),
        () if updated < wanted => {
            Health::InProgress(format!("{updated} of {wanted} pods are updated"))
        }
        () if all > updated => Health::InProgress("old pods are still terminating".into()),
        () if available < wanted => {
            Health::InProgress(format!("{available} of {wanted} pods are ready"))
        }
        () => Health::Ready,
    }
}

/// Why no pod can be created, such as a quota or an admission policy. No pod exists that could report it.
pub fn refused(deployment: &Deployment) -> Option<String> {
    let status = deployment.status.iter();
    let mut conditions = status.flat_map(|s| s.conditions.iter().flatten());
    let refused = conditions.find(|c| {
        c.type_.as_deref() == Some("ReplicaFailure") && c.status.as_deref() == Some("True")
    })?;
    Some(refused.message.clone().unwrap_or_default())
}

pub fn crd(crd: Option<&CustomResourceDefinition>) -> Health {
    let Some(crd) = crd else { return missing() };
    let conditions = crd
        .status
        .iter()
        .filter_map(|s| s.conditions.as_ref())
        .flatten();
    for condition in conditions {
        match (condition.type_.as_str(), condition.status.as_str()) {
            ("Established", "True") => return Health::Ready,
            ("NamesAccepted", "False") => {
                return Health::Failed(
                    condition
                        .message
                        .clone()
                        .unwrap_or("its names are used by another CRD".into()),
                );
            }
            _ => {}
        }
    }
    Health::InProgress("not established".into())
}

/// A token Secret is filled after its creation. API servers reject an empty token, and the token of a deleted
/// ServiceAccount. `account` is the UID of the current ServiceAccount.
pub fn token(secret: Option<&Secret>, account: Option<&str>) -> Health {
    let Some(secret) = secret else {
        return missing();
    };
    let Some(account) = account else {
        return Health::InProgress("its ServiceAccount does not exist".into());
    };
    let annotations = secret.metadata.annotations.as_ref();
    let of = annotations.and_then(|a| a.get("kubernetes.io/service-account.uid"));
    if of.is_some_and(|uid| uid != account) {
        return Health::InProgress(
            "it belongs to a ServiceAccount that was deleted and recreated: run install again"
                .into(),
        );
    }
    let filled = |key: &str| {
        secret
            .data
            .as_ref()
            .and_then(|d| d.get(key))
            .is_some_and(|v| !v.0.is_empty())
    };
    match filled("token") && filled("ca.crt") {
        true => Health::Ready,
        false => Health::InProgress(
            "the token controller of kube-controller-manager has not filled it yet".into(),
        ),
    }
}

/// For objects that only need to exist.
pub fn present<K>(object: Option<&K>) -> Health {
    object.map_or_else(missing, |_| Health::Ready)
}

/// Why a pod will not become ready; None while it still may.
pub fn pod_failure(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let unschedulable = status.conditions.iter().flatten().find(|c| {
        c.type_ == "PodScheduled"
            && c.status == "False"
            && c.reason.as_deref() == Some("Unschedulable")
    });
    // A claim may still get its volume, and is judged by itself.
    let message = |condition: &PodCondition| condition.message.clone().unwrap_or_default();
    let waits = unschedulable.is_some_and(|condition| waits_for_claim(&message(condition)));
    if let (Some(condition), false) = (unschedulable, waits) {
        return Some(format!("unschedulable: {}", message(condition)));
    }
    let containers = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten();
    containers.into_iter().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        let stuck = [
            "CrashLoopBackOff",
            "ImagePullBackOff",
            "InvalidImageName",
            "CreateContainerConfigError",
        ];
        stuck.contains(&reason).then(|| {
            let detail = waiting.message.as_deref().unwrap_or_default();
            format!("container {}: {reason} {detail}", container.name)
                .trim_end()
                .to_string()
        })
    })
}

/// Whether the scheduler waits only for a claim that has no volume yet.
fn waits_for_claim(message: &str) -> bool {
    let is_missing =
        message.contains("persistentvolumeclaim \"") && message.contains("\" not found");
    is_missing || message.contains("unbound immediate PersistentVolumeClaims")
}

#[cfg(test)]
mod tests;
