//! The guide's prerequisites for Istio in each cluster: istiod and ztunnels in ambient mode with several networks.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::ResourceExt;
use kube::core::DynamicObject;

use super::Finding;
use super::facts::Facts;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::mesh::{Cluster, Revision};
use crate::progress::ObjectId;

const CONTROLLER: &str = "istio.io/gateway-controller";
/// Since this version, both ends of a connection between networks exchange their identities.
const BAGGAGE: (u32, u32) = (1, 29);
/// The variable that disables the exchange.
const SWITCH: &str = "ENABLE_RESPONSE_BAGGAGE";

pub fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    let revision = revision(facts).into_iter().collect();
    [class(facts), istiod(facts), ztunnel(facts), revision].concat()
}

/// Whether istiods run only in another namespace than the expected one.
pub fn elsewhere(facts: &Facts<'_>) -> Option<Finding> {
    let istiods = facts.istiods.as_ref().ok()?.as_deref()?;
    let at = |d: &Deployment| d.namespace().unwrap_or_default();
    let first = istiods.first()?;
    if istiods.iter().any(|istiod| at(istiod) == ISTIO_NAMESPACE) {
        return None;
    }
    let object = ObjectId::new("Deployment", &at(first), &first.name_any());
    let cause = format!("istiod runs there, and only {ISTIO_NAMESPACE} is supported");
    let fix =
        format!("install Istio's control plane in namespace {ISTIO_NAMESPACE}, as in its guide");
    Some(Finding::new(Code::IstiodElsewhere, facts.cluster, object, cause).fix(fix))
}

/// Whether an istiod will watch the Gateway.
fn revision(facts: &Facts<'_>) -> Option<Finding> {
    let Revision::Unclear(revisions) = &facts.cluster.revision else {
        return None;
    };
    // No Gateway is created there.
    if facts.cluster.prometheus.is_some() {
        return None;
    }
    let object = ObjectId::new("Deployments", ISTIO_NAMESPACE, "istiod");
    let cause = format!(
        "are of revisions {}, and no tag default says which of them looks at a Gateway without a revision",
        revisions.join(", ")
    );
    let newest = revisions.last()?;
    let finding = Finding::new(Code::NoDefaultRevision, facts.cluster, object, cause);
    Some(finding.fix(format!(
        "istioctl tag set default --revision {newest} --context {}",
        facts.cluster.context
    )))
}

fn class(facts: &Facts<'_>) -> Vec<Finding> {
    let object = ObjectId::cluster_wide("GatewayClass", "istio");
    let finding = |code, cause: &str| Finding::new(code, facts.cluster, object.clone(), cause);
    let istiods = facts
        .istiods
        .as_ref()
        .ok()
        .and_then(|istiods| istiods.as_deref());
    let istiod = istiods
        .and_then(|istiods| istiods.first())
        .map(ResourceExt::name_any);
    let istiod = istiod.unwrap_or("istiod".into());
    let restart = format!("-n {ISTIO_NAMESPACE} rollout restart deployment {istiod}");
    let finding = match &facts.class {
        Err(blind) => *blind.clone(),
        // If the kinds are missing too, only that is reported.
        Ok(None) if matches!(facts.gateways, Ok(None)) => return Vec::new(),
        Ok(None) => finding(
            Code::NoGatewayClass,
            "there is none: istiod has not seen the Gateway API",
        )
        .kubectl(facts.cluster, &restart),
        Ok(Some(class)) => {
            let controller = class.data["spec"]["controllerName"]
                .as_str()
                .unwrap_or_default();
            if controller != CONTROLLER {
                let cause = format!("belongs to {controller}, not to {CONTROLLER}");
                finding(Code::GatewayClassOfAnother, &cause)
                    .kubectl(facts.cluster, "get gatewayclass istio -o yaml")
            } else if !is_accepted(class) {
                finding(Code::GatewayClassNotAccepted, "istiod has not accepted it")
                    .kubectl(facts.cluster, "describe gatewayclass istio")
            } else {
                return Vec::new();
            }
        }
    };
    vec![finding]
}

fn is_accepted(class: &DynamicObject) -> bool {
    let conditions = class.data["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c["type"] == "Accepted" && c["status"] == "True")
}

fn istiod(facts: &Facts<'_>) -> Vec<Finding> {
    let istiods = match &facts.istiods {
        Err(blind) => return vec![*blind.clone()],
        Ok(istiods) => istiods.as_deref().unwrap_or_default(),
    };
    // Without any istiod, the cluster has no name, and the command has already ended.
    let Some(first) = istiods.first() else {
        return Vec::new();
    };
    let object = |istiod: &Deployment| {
        let namespace = istiod.namespace().unwrap_or_default();
        ObjectId::new("Deployment", &namespace, &istiod.name_any())
    };
    let mut findings = Vec::new();
    let available = |d: &Deployment| d.status.as_ref().and_then(|s| s.available_replicas);
    for istiod in istiods.iter().filter(|d| available(d).unwrap_or(0) < 1) {
        let cause = "no replica of it is available";
        let finding = Finding::new(Code::IstiodNotReady, facts.cluster, object(istiod), cause);
        let pods = format!("-n {ISTIO_NAMESPACE} get pods -l app=istiod");
        findings.push(finding.kubectl(facts.cluster, &pods));
    }
    for (code, variable, profile) in [
        (
            Code::AmbientOff,
            "PILOT_ENABLE_AMBIENT",
            "install Istio with profile ambient",
        ),
        (
            Code::MultiNetworkOff,
            "AMBIENT_ENABLE_MULTI_NETWORK",
            "install istiod with env.AMBIENT_ENABLE_MULTI_NETWORK=true",
        ),
    ] {
        if !istiods
            .iter()
            .any(|istiod| env(istiod, variable) == Some("true"))
        {
            let cause = format!("does not set {variable}=true");
            let finding = Finding::new(code, facts.cluster, object(first), cause);
            findings.push(finding.fix(profile));
        }
    }
    findings
}

fn env<'a>(deployment: &'a Deployment, name: &str) -> Option<&'a str> {
    let pod = deployment.spec.template.spec.as_ref()?;
    let env = pod.containers.first()?.env.as_ref()?;
    env.iter().find(|e| e.name == name)?.value.as_deref()
}

fn ztunnel(facts: &Facts<'_>) -> Vec<Finding> {
    let sets = match &facts.ztunnels {
        Err(blind) => return vec![*blind.clone()],
        Ok(sets) => sets.as_deref().unwrap_or_default(),
    };
    if sets.is_empty() {
        let all = ObjectId::new("DaemonSet", ISTIO_NAMESPACE, "ztunnel");
        let finding = Finding::new(Code::NoZtunnel, facts.cluster, all, "there is none");
        return vec![finding.fix("install Istio with profile ambient")];
    }
    // One for each revision, during an upgrade.
    let found = sets.iter().flat_map(|set| daemon_set(facts.cluster, set));
    found.collect()
}

/// Checks all clusters: the others do not know what a ztunnel does not tell about itself.
fn daemon_set(cluster: &Cluster, set: &DaemonSet) -> Vec<Finding> {
    let namespace = set.namespace().unwrap_or_default();
    let object = ObjectId::new("DaemonSet", &namespace, &set.name_any());
    let finding = |code, cause: String| Finding::new(code, cluster, object.clone(), cause);
    let mut findings = Vec::new();
    if let Some((ready, all)) = ready(set).filter(|(ready, all)| ready < all) {
        let cause = format!("{ready} of {all} pods are ready");
        let pods = format!("-n {namespace} get pods -l app=ztunnel -o wide");
        findings.push(finding(Code::ZtunnelNotReady, cause).kubectl(cluster, &pods));
    }
    if let Some((version, tag)) = version(set)
        && version < BAGGAGE
    {
        let cause = format!(
            "is of version {tag}: of connections to and from other clusters one end is not known, and Kiali shows wrong edges"
        );
        let fix = "upgrade ztunnel to 1.29 or newer, in every cluster";
        findings.push(finding(Code::OldZtunnel, cause).fix(fix));
    }
    if hides(set) {
        let cause = format!(
            "sets {SWITCH}=false: of connections from other clusters neither end is known, and Kiali shows no edge between the clusters"
        );
        let on = format!(
            "-n {namespace} set env daemonset/{} {SWITCH}=true",
            set.name_any()
        );
        findings.push(finding(Code::NoResponseBaggage, cause).kubectl(cluster, &on));
    }
    findings
}

/// ztunnel accepts only `true` and `false` and does not start with another value.
fn hides(set: &DaemonSet) -> bool {
    let pod = set.spec.template.spec.as_ref();
    let containers = pod.map_or(&[][..], |pod| &pod.containers);
    let mut all = containers
        .iter()
        .flat_map(|c| c.env.as_deref().unwrap_or_default());
    // If a variable is set twice, the last value counts.
    let switch = all.rfind(|variable| variable.name == SWITCH);
    switch.and_then(|switch| switch.value.as_deref()) == Some("false")
}

/// The number of ready pods, and of all that should run.
fn ready(set: &DaemonSet) -> Option<(i32, i32)> {
    let status = set.status.as_ref()?;
    Some((status.number_ready, status.desired_number_scheduled))
}

/// The version in the tag of the image, if it is one.
fn version(set: &DaemonSet) -> Option<((u32, u32), &str)> {
    let pod = set.spec.template.spec.as_ref()?;
    let image = pod.containers.first()?.image.as_ref()?;
    let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
    let mut numbers = tag.split(['.', '-']).map(|number| number.parse().ok());
    Some(((numbers.next()??, numbers.next()??), tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn set(image: &str) -> DaemonSet {
        let container: Value = json!({"name": "istio-proxy", "image": image});
        serde_json::from_value(json!({"spec": {
            "selector": {},
            "template": {"spec": {"containers": [container]}},
        }}))
        .unwrap()
    }

    #[test]
    fn pods_that_are_not_ready_are_counted() {
        let counted = |status: Value| {
            let mut set = set("ztunnel");
            set.status = serde_json::from_value(status).unwrap();
            ready(&set)
        };
        let status = |ready: i32| json!({"currentNumberScheduled": 3, "desiredNumberScheduled": 3, "numberMisscheduled": 0, "numberReady": ready});
        assert_eq!(counted(status(2)), Some((2, 3)));
        assert_eq!(counted(json!(null)), None);
    }

    #[test]
    fn only_the_last_word_of_the_switch_hides_the_ends() {
        let of = |env: Value| {
            let mut set = set("ztunnel");
            let pod = set.spec.template.spec.as_mut().unwrap();
            pod.containers[0].env = serde_json::from_value(env).unwrap();
            hides(&set)
        };
        let to = |value: &str| json!({"name": SWITCH, "value": value});
        assert!(of(json!([to("false")])));
        assert!(of(json!([to("true"), to("false")])));
        assert!(!of(json!([to("false"), to("true")])));
        assert!(!of(json!([to("true")])));
        assert!(!of(
            json!([{"name": "OTHER", "value": "false"}, {"name": SWITCH}])
        ));
        assert!(!of(json!(null)));
        let none = json!({"spec": {"selector": {}, "template": {}}});
        assert!(!hides(&serde_json::from_value(none).unwrap()));
    }

    #[test]
    fn a_tag_that_is_a_version_is_one() {
        let of = |image: &str| version(&set(image)).map(|(version, _)| version);
        assert_eq!(
            of("docker.io/istio/ztunnel:1.28.3-distroless"),
            Some((1, 28))
        );
        assert_eq!(
            of("localhost:5000/ztunnel:1.31-alpha@sha256:00"),
            Some((1, 31))
        );
        assert_eq!(of("docker.io/istio/ztunnel:latest"), None);
        assert_eq!(of("docker.io/istio/ztunnel"), None);
    }
}
