//! Policies that would block the traffic of an install. Whether the cluster enforces them is unknown, so they are
//! warnings.

use kube::ResourceExt;

use super::Finding;
use super::facts::Facts;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::policies::{self, OF_THE_MESH, ON_HOME, ON_REMOTE};
use crate::progress::ObjectId;

pub fn judge(facts: &Facts<'_>, home: bool, namespace: &str) -> Vec<Finding> {
    // A foreign Prometheus may be anywhere.
    let of_the_mesh = facts.cluster.prometheus.is_none();
    let ours = if home { ON_HOME } else { ON_REMOTE };
    let mut findings = networks(facts, namespace, ours, &facts.own_network_policies);
    if of_the_mesh {
        let within = &facts.network_policies;
        findings.extend(networks(facts, ISTIO_NAMESPACE, OF_THE_MESH, within));
        findings.extend(denied(facts));
    }
    findings
}

fn denied(facts: &Facts<'_>) -> Option<Finding> {
    let all = match &facts.authorization_policies {
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
    looked: &super::facts::Looked<Vec<k8s_openapi::api::networking::v1::NetworkPolicy>>,
) -> Vec<Finding> {
    let all = match looked {
        Err(blind) => return vec![*blind.clone()],
        Ok(all) => all.as_deref().unwrap_or_default(),
    };
    let found = policies::cut_off(all, ours).into_iter();
    let finding = |(policy, what): (&k8s_openapi::api::networking::v1::NetworkPolicy, String)| {
        let name = policy.name_any();
        let object = ObjectId::new("NetworkPolicy", namespace, &name);
        let look = format!("-n {namespace} describe networkpolicy {name}");
        let code = Code::CutOffByNetworkPolicy;
        Finding::new(code, facts.cluster, object, what).kubectl(facts.cluster, &look)
    };
    found.map(finding).collect()
}
