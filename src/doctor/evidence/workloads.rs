//! What a cluster says of the workloads of the mesh: its Services, the pods that are kept out of the mesh, the policies that
//! may deny traffic, and which DaemonSet the ztunnels are of.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::Value;

use crate::k8s::request::send;
use crate::k8s::{Scope, kinds};
use crate::mesh::pages;
use crate::progress::ObjectId;

const GLOBAL: &str = "istio.io/global";
/// The label of a Service or a namespace with the name of a waypoint, or `none`.
pub const WAYPOINT: &str = "istio.io/use-waypoint";
/// The label of a pod that ztunnel does not carry the traffic of.
pub const KEPT_OUT: &str = "istio.io/dataplane-mode=none";
const ZTUNNEL: &str = "app=ztunnel";

type Labels = BTreeMap<String, String>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    pub namespace: String,
    pub name: String,
    /// Whether the Services with this name in all clusters are one.
    pub is_global: bool,
    /// Empty if it selects no pods.
    pub selector: Labels,
    /// The waypoint that its traffic goes through.
    pub waypoint: Option<String>,
}

/// A pod that is kept out of the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub namespace: String,
    pub labels: Labels,
}

/// An AuthorizationPolicy that ztunnel enforces. Those with a target are for waypoints and Gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub namespace: String,
    pub name: String,
    /// Of the pods that it is for; empty for all.
    pub selector: Labels,
    pub effect: Effect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    DeniesAll,
    /// It allows nothing, so all is denied that no other policy allows.
    AllowsNone,
    /// It allows something, perhaps all.
    AllowsSome,
    /// It denies something, or only records.
    Other,
}

impl Service {
    /// Inherits the waypoint of its namespace. The name `none` stands for no waypoint.
    pub fn within(self, waypoint: Option<&String>) -> Service {
        let waypoint = self.waypoint.or_else(|| waypoint.cloned());
        Service {
            waypoint: waypoint.filter(|name| name != "none"),
            ..self
        }
    }

    /// Whether these labels of a policy select all pods behind it.
    pub fn is_within(&self, selector: &Labels) -> bool {
        includes(&self.selector, selector)
    }

    pub fn selects(&self, pod: &LeftOut) -> bool {
        !self.selector.is_empty()
            && pod.namespace == self.namespace
            && includes(&pod.labels, &self.selector)
    }
}

fn includes(all: &Labels, some: &Labels) -> bool {
    some.iter()
        .all(|(name, value)| all.get(name) == Some(value))
}

pub async fn services(scope: &Scope<'_>) -> Result<Vec<Service>> {
    let api = Api::<v1::Service>::all(scope.cluster.client.clone());
    let all = ObjectId::cluster_wide("Services", "all");
    let params = ListParams::default();
    let found = send(scope, &all, || pages::list(&api, &params)).await?;
    let service = |one: &v1::Service| Service {
        namespace: one.namespace().unwrap_or_default(),
        name: one.name_any(),
        is_global: one
            .labels()
            .get(GLOBAL)
            .is_some_and(|value| value == "true"),
        selector: one
            .spec
            .as_ref()
            .and_then(|spec| spec.selector.clone())
            .unwrap_or_default(),
        waypoint: one.labels().get(WAYPOINT).cloned(),
    };
    Ok(found.iter().map(service).collect())
}

pub async fn left_out(scope: &Scope<'_>) -> Result<Vec<LeftOut>> {
    let api = Api::<v1::Pod>::all(scope.cluster.client.clone());
    let all = ObjectId::cluster_wide("Pods", KEPT_OUT);
    let params = ListParams::default().labels(KEPT_OUT);
    let found = send(scope, &all, || pages::list_metadata(&api, &params)).await?;
    let pod = |one: &kube::core::PartialObjectMeta<v1::Pod>| LeftOut {
        namespace: one.namespace().unwrap_or_default(),
        labels: one.labels().clone(),
    };
    let stays = found
        .iter()
        .filter(|one| one.metadata.deletion_timestamp.is_none());
    Ok(stays.map(pod).collect())
}

/// The DaemonSet that owns a pod with ztunnel's label.
pub async fn ztunnel(scope: &Scope<'_>) -> Result<Option<ObjectId>> {
    let api = Api::<v1::Pod>::all(scope.cluster.client.clone());
    let all = ObjectId::cluster_wide("Pods", ZTUNNEL);
    let params = ListParams::default().labels(ZTUNNEL);
    let found = send(scope, &all, || pages::list_metadata(&api, &params)).await?;
    let set = |one: &kube::core::PartialObjectMeta<v1::Pod>| {
        let owner = one
            .owner_references()
            .iter()
            .find(|one| one.kind == "DaemonSet")?;
        Some(ObjectId::new("DaemonSet", &one.namespace()?, &owner.name))
    };
    Ok(found.iter().find_map(set))
}

/// Empty if the server does not know the kind.
pub async fn policies(scope: &Scope<'_>) -> Result<Vec<Policy>> {
    let kind = kinds::authorization_policy();
    let api = Api::<DynamicObject>::all_with(scope.cluster.client.clone(), &kind);
    let all = ObjectId::cluster_wide("AuthorizationPolicies", "all");
    let params = ListParams::default();
    let found = match send(scope, &all, || pages::list(&api, &params)).await {
        Err(refusal) if refusal.is_unknown_kind() => Vec::new(),
        found => found?,
    };
    Ok(found.iter().filter_map(Policy::of).collect())
}

impl Policy {
    fn of(object: &DynamicObject) -> Option<Policy> {
        let spec = &object.data["spec"];
        let has_targets = spec["targetRef"].is_object()
            || spec["targetRefs"]
                .as_array()
                .is_some_and(|all| !all.is_empty());
        if has_targets {
            return None;
        }
        let labels = spec["selector"]["matchLabels"]
            .as_object()
            .into_iter()
            .flatten();
        let labels = labels.map(|(name, value)| Some((name.clone(), value.as_str()?.to_string())));
        Some(Policy {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            selector: labels.collect::<Option<_>>()?,
            effect: effect(spec),
        })
    }
}

fn effect(spec: &Value) -> Effect {
    let rules = spec["rules"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    // A rule without any condition matches all.
    let is_any = |rule: &Value| rule.as_object().is_some_and(serde_json::Map::is_empty);
    match spec["action"].as_str().unwrap_or("ALLOW") {
        "DENY" if rules.iter().any(is_any) => Effect::DeniesAll,
        "ALLOW" if rules.is_empty() => Effect::AllowsNone,
        "ALLOW" => Effect::AllowsSome,
        _ => Effect::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy(spec: Value) -> Option<Policy> {
        let object = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "one", "namespace": "sample"}, "spec": spec,
        });
        Policy::of(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_policy_is_read_as_ztunnel_does() {
        for (spec, effect) in [
            (json!({}), Effect::AllowsNone),
            (json!({"action": "ALLOW", "rules": []}), Effect::AllowsNone),
            (json!({"rules": [{}]}), Effect::AllowsSome),
            (json!({"action": "DENY", "rules": [{}]}), Effect::DeniesAll),
            (json!({"action": "DENY"}), Effect::Other),
            (
                json!({"action": "DENY", "rules": [{"from": []}]}),
                Effect::Other,
            ),
            (json!({"action": "AUDIT", "rules": [{}]}), Effect::Other),
        ] {
            assert_eq!(policy(spec.clone()).unwrap().effect, effect, "{spec}");
        }
        assert_eq!(
            policy(json!({"targetRefs": [{"kind": "Gateway", "name": "a"}]})),
            None
        );
        let other = json!({"selector": {"matchLabels": {"app": 1}}});
        assert_eq!(policy(other), None);
    }
}
