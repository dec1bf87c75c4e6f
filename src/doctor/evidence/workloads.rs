//! What a cluster says of the workloads of the mesh: its Services, the pods that are not in the mesh, the policies that may
//! deny traffic, and which DaemonSet the ztunnels are of.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::api::core::v1;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::ListParams;
use kube::core::{DynamicObject, PartialObjectMeta};
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
/// The annotation that istio-cni gives to each pod whose traffic it redirects.
pub const REDIRECTED: (&str, &str) = ("ambient.istio.io/redirection", "enabled");
/// The annotation of a pod with a sidecar.
const SIDECAR: &str = "sidecar.istio.io/status";
/// A pod that is younger may get the annotation yet.
const YOUNG: SignedDuration = SignedDuration::from_secs(30);
/// In how many namespaces the pods are looked at.
const NAMESPACES: usize = 10;
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

/// A pod that is not in the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub namespace: String,
    pub labels: Labels,
}

/// Which pods of a cluster istio-cni redirects the traffic of, as far as its annotation tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redirection {
    /// Whether any pod has the annotation.
    pub is_seen: bool,
    pub missed: Vec<LeftOut>,
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
    let stays = found
        .iter()
        .filter(|one| one.metadata.deletion_timestamp.is_none());
    Ok(stays.map(left).collect())
}

fn left(pod: &PartialObjectMeta<v1::Pod>) -> LeftOut {
    LeftOut {
        namespace: pod.namespace().unwrap_or_default(),
        labels: pod.labels().clone(),
    }
}

/// Looks at the pods in the namespaces of global Services.
pub async fn redirection(scope: &Scope<'_>, services: &[Service]) -> Result<Redirection> {
    let global = services.iter().filter(|one| one.is_global);
    let namespaces = global.map(|one| one.namespace.as_str());
    let namespaces = namespaces.collect::<BTreeSet<_>>().into_iter();
    let pods = namespaces.take(NAMESPACES).map(async |namespace| {
        let api = Api::<v1::Pod>::namespaced(scope.cluster.client.clone(), namespace);
        let all = ObjectId::cluster_wide("Pods of namespace", namespace);
        let params = ListParams::default();
        send(scope, &all, || pages::list_metadata(&api, &params)).await
    });
    let pods = try_join_all(pods).await?.into_iter().flatten();
    Ok(redirected(&pods.collect::<Vec<_>>(), Timestamp::now()))
}

fn redirected(pods: &[PartialObjectMeta<v1::Pod>], now: Timestamp) -> Redirection {
    let is_redirected = |pod: &PartialObjectMeta<v1::Pod>| {
        let says = pod.annotations().get(REDIRECTED.0);
        says.is_some_and(|value| value == REDIRECTED.1)
    };
    let is_missed = |pod: &&PartialObjectMeta<v1::Pod>| {
        let created = pod.creation_timestamp();
        let is_old = created.is_some_and(|created| now.duration_since(created.0) > YOUNG);
        let goes = pod.metadata.deletion_timestamp.is_some();
        let has_sidecar = pod.annotations().contains_key(SIDECAR);
        is_old && !goes && !has_sidecar && !is_redirected(pod)
    };
    Redirection {
        is_seen: pods.iter().any(is_redirected),
        missed: pods.iter().filter(is_missed).map(left).collect(),
    }
}

/// The DaemonSet that owns a pod with ztunnel's label.
pub async fn ztunnel(scope: &Scope<'_>) -> Result<Option<ObjectId>> {
    let api = Api::<v1::Pod>::all(scope.cluster.client.clone());
    let all = ObjectId::cluster_wide("Pods", ZTUNNEL);
    let params = ListParams::default().labels(ZTUNNEL);
    let found = send(scope, &all, || pages::list_metadata(&api, &params)).await?;
    let set = |one: &PartialObjectMeta<v1::Pod>| {
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

    #[test]
    fn a_pod_is_missed_only_if_it_is_old_and_stays_and_has_no_sidecar() {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let pod = |name: &str, created: &str, annotations: Value| {
            let metadata = json!({
                "name": name, "namespace": "sample", "creationTimestamp": created,
                "labels": {"app": name}, "annotations": annotations,
            });
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
            serde_json::from_value::<PartialObjectMeta<v1::Pod>>(pod).unwrap()
        };
        let (old, young) = ("2026-01-02T03:00:00Z", "2026-01-02T03:04:00Z");
        let mut goes = pod("goes", old, json!({}));
        goes.metadata.deletion_timestamp = goes.metadata.creation_timestamp.clone();
        let annotated = |value: &str| json!({REDIRECTED.0: value});
        let mut pods = vec![
            pod("missed", old, json!({})),
            pod("other", old, annotated("pending")),
            pod("young", young, json!({})),
            pod("sidecar", old, json!({SIDECAR: "{}"})),
            goes,
        ];
        let found = redirected(&pods, now);
        let names = found.missed.iter().map(|pod| pod.labels["app"].as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["missed", "other"]);
        assert!(!found.is_seen);
        pods.push(pod("redirected", old, annotated("enabled")));
        let found = redirected(&pods, now);
        assert_eq!((found.missed.len(), found.is_seen), (2, true));
    }
}
