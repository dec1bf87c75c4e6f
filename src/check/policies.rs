//! Policies that would block the traffic of an install. Whether the cluster enforces them is unknown, so they are
//! warnings.

use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::ResourceExt;
use serde_json::Value;

use super::Finding;
use super::facts::{Facts, Looked};
use crate::code::Code;
use crate::guide::{ISTIO_NAMESPACE, Step};
use crate::policies::{self, OF_THE_MESH, ON_HOME, ON_REMOTE};
use crate::progress::ObjectId;

/// The NetworkPolicies of the install, which allow what it needs.
pub fn planned(planned: &[(Step, Value)]) -> Vec<NetworkPolicy> {
    let policies = planned
        .iter()
        .filter(|(_, object)| object["kind"] == "NetworkPolicy");
    let policies = policies.filter_map(|(_, object)| serde_json::from_value(object.clone()).ok());
    policies.collect()
}

/// `own` are the policies that the install will write.
pub fn judge(
    facts: &Facts<'_>,
    home: bool,
    namespace: &str,
    own: &[NetworkPolicy],
) -> Vec<Finding> {
    // A foreign Prometheus may be anywhere.
    let of_the_mesh = facts.cluster.prometheus.is_none();
    let ours = if home { ON_HOME } else { ON_REMOTE };
    let mut findings = networks(facts, namespace, ours, (&facts.policies.own_network, own));
    if of_the_mesh {
        let within = &facts.policies.network;
        findings.extend(networks(facts, ISTIO_NAMESPACE, OF_THE_MESH, (within, own)));
        findings.extend(denied(facts));
    }
    findings
}

fn denied(facts: &Facts<'_>) -> Option<Finding> {
    let all = match &facts.policies.authorization {
        Err(blind) => return Some(*blind.clone()),
        Ok(all) => all.as_deref().unwrap_or_default(),
    };
    let (policy, what) = policies::denying(all)?;
    let name = policy.name_any();
    let object = ObjectId::new("AuthorizationPolicy", ISTIO_NAMESPACE, &name);
    let look = format!("-n {ISTIO_NAMESPACE} get authorizationpolicy {name} -o yaml");
    let finding = Finding::new(Code::DeniedByPolicy, facts.cluster, object, what);
    Some(finding.kubectl(facts.cluster, &look))
}

fn networks(
    facts: &Facts<'_>,
    namespace: &str,
    ours: &'static [policies::Pods],
    (looked, own): (&Looked<Vec<NetworkPolicy>>, &[NetworkPolicy]),
) -> Vec<Finding> {
    let all = match looked {
        Err(blind) => return vec![*blind.clone()],
        Ok(all) => all.as_deref().unwrap_or_default(),
    };
    let own = own
        .iter()
        .filter(|policy| policy.namespace().as_deref() == Some(namespace));
    let all = all.iter().chain(own).cloned().collect::<Vec<_>>();
    let found = policies::cut_off(&all, ours).into_iter();
    let finding = |(policy, what): (&NetworkPolicy, String)| {
        let name = policy.name_any();
        let object = ObjectId::new("NetworkPolicy", namespace, &name);
        let look = format!("-n {namespace} describe networkpolicy {name}");
        let code = Code::CutOffByNetworkPolicy;
        Finding::new(code, facts.cluster, object, what).kubectl(facts.cluster, &look)
    };
    found.map(finding).collect()
}
