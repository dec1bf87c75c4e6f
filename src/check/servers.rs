//! The cluster itself: its version, clock, namespaces and load balancer.

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::Finding;
use super::facts::Facts;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::progress::ObjectId;

/// Kubernetes 1.x.
const OLDEST: u32 = 31;
const SKEW_SECONDS: i64 = 30;
const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";

pub fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    [
        version(facts),
        clock(facts),
        namespaces(facts),
        load_balancer(facts),
    ]
    .concat()
}

fn version(facts: &Facts<'_>) -> Vec<Finding> {
    let Ok(Some(version)) = &facts.version else {
        return Vec::new();
    };
    let digits = |text: &str| {
        text.trim_end_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .ok()
    };
    let old =
        digits(&version.minor).is_some_and(|minor: u32| version.major == "1" && minor < OLDEST);
    if !old {
        return Vec::new();
    }
    let server = ObjectId::cluster_wide("Kubernetes", &version.git_version);
    let cause = format!("is older than 1.{OLDEST}");
    let finding = Finding::new(Code::OldKubernetes, facts.cluster, server, cause);
    vec![finding.kubectl(facts.cluster, "version")]
}

fn clock(facts: &Facts<'_>) -> Vec<Finding> {
    let Some(theirs) = facts.cluster.server_time() else {
        return Vec::new();
    };
    let ahead = theirs.duration_since(Timestamp::now()).as_secs();
    if ahead.abs() <= SKEW_SECONDS {
        return Vec::new();
    }
    let server = ObjectId::cluster_wide("API server", &facts.cluster.server);
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let cause = format!("its clock is {} s {way} this machine's", ahead.abs());
    let finding = Finding::new(Code::ClockSkew, facts.cluster, server, cause);
    vec![finding.fix("set the clock that is wrong: timedatectl status")]
}

fn namespaces(facts: &Facts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Ok(Some(istio)) = &facts.istio_namespace
        && istio
            .labels()
            .get(POD_SECURITY)
            .is_some_and(|level| level == "restricted")
    {
        let object = ObjectId::cluster_wide("Namespace", ISTIO_NAMESPACE);
        let cause = "enforces pod security level restricted, which the Gateway's pod does not meet";
        let label =
            format!("label --overwrite namespace {ISTIO_NAMESPACE} {POD_SECURITY}=baseline");
        let finding = Finding::new(Code::PodSecurity, facts.cluster, object, cause);
        findings.push(finding.kubectl(facts.cluster, &label));
    }
    if let Ok(Some(own)) = &facts.namespace
        && own.metadata.deletion_timestamp.is_some()
    {
        let name = own.name_any();
        let object = ObjectId::cluster_wide("Namespace", &name);
        let cause = "is being deleted; install waits for its end";
        let finding = Finding::new(Code::NamespaceTerminating, facts.cluster, object, cause);
        findings.push(finding.kubectl(facts.cluster, &format!("get namespace {name} -o yaml")));
    }
    findings
}

fn load_balancer(facts: &Facts<'_>) -> Vec<Finding> {
    let services = match &facts.load_balancers {
        Err(_) | Ok(None) => return Vec::new(),
        Ok(Some(services)) => services,
    };
    let has_address = |service: &Service| {
        let status = service
            .status
            .as_ref()
            .and_then(|s| s.load_balancer.as_ref());
        status
            .and_then(|s| s.ingress.as_ref())
            .is_some_and(|i| !i.is_empty())
    };
    let Some(waiting) = services
        .first()
        .filter(|_| !services.iter().any(has_address))
    else {
        return Vec::new();
    };
    let namespace = waiting.namespace().unwrap_or_default();
    let object = ObjectId::new("Service", &namespace, &waiting.name_any());
    let cause = "waits for an address, like all others of type LoadBalancer here";
    let finding = Finding::new(Code::NoLoadBalancer, facts.cluster, object, cause);
    let describe = format!("-n {namespace} describe service {}", waiting.name_any());
    vec![finding.kubectl(facts.cluster, &describe)]
}
