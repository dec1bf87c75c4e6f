//! Pure judgements: an object, as read, is ready, not yet, or cannot become so. A wait asks again
//! at each change, `status` and `verify` ask once.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{NotUsed, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not there, or not there yet: why.
    InProgress(String),
    Ready,
    /// It will not get there by waiting: why.
    Failed(String),
}

fn missing() -> Health {
    Health::InProgress("not there".into())
}

/// Rolled out as of its own generation; kube's predicate passes for the roll-out before.
pub fn deployment(deployment: Option<&Deployment>) -> Health {
    let Some(deployment) = deployment else {
        return missing();
    };
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.metadata.generation {
        return Health::InProgress("the change is not taken up yet".into());
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
    // A quota or an admission policy refuses the pods: no pod will ever say so.
    if let Some(refused) =
        condition("ReplicaFailure").filter(|c| c.status.as_deref() == Some("True"))
    {
        return Health::Failed(refused.message.clone().unwrap_or_default());
    }
    let available = status.available_replicas.unwrap_or(0);
    let updated = status.updated_replicas.unwrap_or(0);
    let all = status.replicas.unwrap_or(0);
    match () {
        () if wanted == 0 => Health::InProgress("scaled to 0".into()),
        () if updated < wanted => {
            Health::InProgress(format!("{updated} of {wanted} pods are of the new version"))
        }
        () if all > updated => {
            Health::InProgress("pods of the version before are still there".into())
        }
        () if available < wanted => {
            Health::InProgress(format!("{available} of {wanted} pods are ready"))
        }
        () => Health::Ready,
    }
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
                        .unwrap_or("its names are taken".into()),
                );
            }
            _ => {}
        }
    }
    Health::InProgress("not established".into())
}

pub type Gateway = Object<NotUsed, GatewayStatus>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct GatewayStatus {
    #[serde(default)]
    pub addresses: Vec<GatewayAddress>,
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GatewayAddress {
    pub value: String,
}

/// The first address of a Gateway: an IP or a host name.
pub fn address(gateway: &Gateway) -> Option<&str> {
    let addresses = gateway
        .status
        .as_ref()
        .map(|s| s.addresses.as_slice())
        .unwrap_or_default();
    addresses
        .iter()
        .map(|a| a.value.as_str())
        .find(|value| !value.is_empty())
}

/// Programmed for its own generation, with an address: without one a scrape target would be empty,
/// and Prometheus would take it for itself.
pub fn gateway(gateway: Option<&Gateway>) -> Health {
    let Some(gateway) = gateway else {
        return missing();
    };
    let status = gateway.status.clone().unwrap_or_default();
    let generation = gateway.metadata.generation;
    let find = |name: &str| status.conditions.iter().find(|c| c.type_ == name);
    for name in ["Accepted", "Programmed"] {
        match find(name) {
            Some(c) if c.observed_generation < generation => {
                return Health::InProgress(format!("{name} is of the generation before"));
            }
            Some(c) if c.status == "True" => {}
            // Until a controller has looked, the API server's default says Unknown/Pending.
            Some(c) => {
                return Health::InProgress(format!(
                    "{name}={} {}: {}",
                    c.status, c.reason, c.message
                ));
            }
            None => {
                return Health::InProgress(format!(
                    "no condition {name} yet: no controller has looked at it"
                ));
            }
        }
    }
    match address(gateway) {
        Some(_) => Health::Ready,
        None => Health::InProgress("programmed, but without an address".into()),
    }
}

pub type HttpRoute = Object<NotUsed, RouteStatus>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct RouteStatus {
    #[serde(default)]
    pub parents: Vec<RouteParent>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RouteParent {
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

pub fn http_route(route: Option<&HttpRoute>) -> Health {
    let Some(route) = route else { return missing() };
    let parents = route
        .status
        .as_ref()
        .map(|s| s.parents.as_slice())
        .unwrap_or_default();
    let conditions = parents
        .iter()
        .flat_map(|p| &p.conditions)
        .collect::<Vec<_>>();
    for name in ["Accepted", "ResolvedRefs"] {
        match conditions.iter().find(|c| c.type_ == name) {
            Some(c) if c.observed_generation < route.metadata.generation => {
                return Health::InProgress(format!("{name} is of the generation before"));
            }
            Some(c) if c.status == "True" => {}
            Some(c) => {
                return Health::InProgress(format!(
                    "{name}={} {}: {}",
                    c.status, c.reason, c.message
                ));
            }
            None => {
                return Health::InProgress(format!(
                    "no condition {name} yet: no controller has looked at it"
                ));
            }
        }
    }
    Health::Ready
}

/// A token Secret is filled after it was made; an empty token is refused by every API server.
pub fn token(secret: Option<&Secret>) -> Health {
    let Some(secret) = secret else {
        return missing();
    };
    let filled = |key: &str| {
        secret
            .data
            .as_ref()
            .and_then(|d| d.get(key))
            .is_some_and(|v| !v.0.is_empty())
    };
    match filled("token") && filled("ca.crt") {
        true => Health::Ready,
        false => Health::InProgress("the token controller has not filled it".into()),
    }
}

/// There is nothing to judge but that it is there.
pub fn present<K>(object: Option<&K>) -> Health {
    object.map_or_else(missing, |_| Health::Ready)
}

/// Why a pod will not become ready by waiting; None while it still may.
pub fn pod_failure(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let unschedulable = status.conditions.iter().flatten().find(|c| {
        c.type_ == "PodScheduled"
            && c.status == "False"
            && c.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unschedulable {
        return Some(format!(
            "unschedulable: {}",
            condition.message.as_deref().unwrap_or_default()
        ));
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

pub type Kiali = Object<NotUsed, KialiStatus>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KialiStatus {
    #[serde(default)]
    pub conditions: Vec<KialiCondition>,
    #[serde(default)]
    pub progress: Value,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KialiCondition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub last_transition_time: String,
    #[serde(default)]
    pub ansible_result: Value,
}

impl KialiStatus {
    fn condition(&self, name: &str) -> Option<&KialiCondition> {
        self.conditions.iter().find(|c| c.type_ == name)
    }

    /// When the last run of the operator ended.
    pub fn completion(&self) -> Option<String> {
        let result = &self.condition("Running")?.ansible_result;
        result["completion"].as_str().map(Into::into)
    }

    fn is_true(&self, name: &str) -> Option<&KialiCondition> {
        self.condition(name).filter(|c| c.status == "True")
    }
}

/// Judges a Kiali CR after a change of it. Its conditions carry no generation, `Successful` of the
/// run before stays until the operator notices, and `Failure` of an old run stays through the next
/// one, so a change is only believed after a run that ended since.
#[derive(Clone, Debug, Default)]
pub struct KialiFence {
    /// Completion of the last run before our change; None when nothing was changed.
    pub before: Option<String>,
    failures: Vec<String>,
    /// How many failed runs prove nothing: those before the change, and the first one after it, which
    /// may have begun before it.
    tolerated: usize,
}

impl KialiFence {
    pub fn changed(before: Option<&Kiali>) -> KialiFence {
        let status = before.and_then(|k| k.status.as_ref());
        let failure = status.and_then(|s| s.is_true("Failure"));
        let failures = failure.map(failure_id).into_iter().collect::<Vec<_>>();
        KialiFence {
            before: status.and_then(KialiStatus::completion),
            tolerated: failures.len() + usize::from(before.is_some()),
            failures,
        }
    }

    pub fn judge(&mut self, kiali: Option<&Kiali>) -> Health {
        let Some(kiali) = kiali else { return missing() };
        let Some(status) = kiali.status.as_ref().filter(|s| !s.conditions.is_empty()) else {
            return Health::InProgress("the operator has not seen it yet".into());
        };
        if let Some(failure) = status.is_true("Failure") {
            let id = failure_id(failure);
            if self.failures.last() != Some(&id) {
                self.failures.push(id);
            }
            let message = failure.message.lines().next().unwrap_or_default();
            return match self.failures.len() > self.tolerated {
                true => Health::Failed(message.into()),
                false => Health::InProgress(format!("the operator tries again: {message}")),
            };
        }
        match status.is_true("Successful") {
            Some(_) if self.before.is_none() || self.before != status.completion() => Health::Ready,
            Some(_) => Health::InProgress("the operator has not taken up the change".into()),
            None => Health::InProgress(match status.progress["message"].as_str() {
                Some(message) => format!("operator: {message}"),
                None => "the operator is at work".into(),
            }),
        }
    }
}

fn failure_id(failure: &KialiCondition) -> String {
    let completion = failure.ansible_result["completion"]
        .as_str()
        .unwrap_or_default();
    format!("{} {completion}", failure.last_transition_time)
}

#[cfg(test)]
mod tests;
