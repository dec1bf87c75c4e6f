//! Causes in the workloads of the mesh: their Services, policies and pods.

use std::collections::BTreeMap;

use super::path::with_failed;
use super::traffic::connections_failed;
use super::{Judgement, Likelihood, Place, likely, of_each, with_code};
use crate::code::Code;
use crate::doctor::Likely;
use crate::doctor::evidence::{
    ClusterEvidence, Effect, Evidence, Known, LeftOut, Policy, REDIRECTED, Service,
};
use crate::guide::ISTIO_NAMESPACE;
use crate::shell::quoted;
use crate::visible;

/// How many Services are named, and how many policies.
const NAMED: usize = 3;

/// Whether traffic to it is expected: from other clusters, or because the user asks.
fn is_meant(evidence: &Evidence, service: &Service) -> bool {
    let question = &evidence.question;
    let asks = question.namespace.is_some() || question.service.is_some();
    let is = |asked: &Option<String>, name: &str| asked.as_ref().is_none_or(|asked| asked == name);
    (asks || service.is_global)
        && is(&question.namespace, &service.namespace)
        && is(&question.service, &service.name)
}

/// The Services of a cluster to which traffic is expected.
pub fn meant<'a>(
    evidence: &'a Evidence,
    cluster: &'a ClusterEvidence,
) -> Known<impl Iterator<Item = &'a Service> + Clone> {
    let services = cluster.services.as_ref().map_err(Clone::clone)?;
    Ok(services.iter().filter(|one| is_meant(evidence, one)))
}

/// As in "Service sample/a, sample/b and 4 more".
fn listed(services: &[&Service]) -> String {
    let named = services.iter().take(NAMED);
    let named = named.map(|one| format!("{}/{}", one.namespace, one.name));
    let more = services.len().saturating_sub(NAMED);
    format!(
        "Service {}",
        visible::listed(&named.collect::<Vec<_>>(), more)
    )
}

/// A policy denies all traffic to a Service.
pub fn denied(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let policies = cluster.policies.as_ref().map_err(Clone::clone)?;
        // If another namespace is the root, those of istio-system hold only there.
        let has_root = with_code(cluster, Code::OtherRootNamespace)?.is_empty();
        let services = meant(evidence, cluster)?;
        let mut found = Vec::<(&Policy, Vec<&Service>)>::new();
        for service in services {
            let Some(policy) = denying(policies, service, has_root) else {
                continue;
            };
            match found.iter_mut().find(|(known, _)| *known == policy) {
                Some((_, services)) => services.push(service),
                None => found.push((policy, vec![service])),
            }
        }
        let told = |(policy, services): (&Policy, Vec<&Service>)| {
            let what = match policy.effect {
                Effect::DeniesAll => "denies all requests to",
                _ => "lets nobody reach",
            };
            let Policy {
                namespace, name, ..
            } = policy;
            let seen = format!(
                "AuthorizationPolicy {namespace}/{name} {what} {}",
                listed(&services)
            );
            let fix = format!(
                "{} -n {} get authorizationpolicy {} -o yaml",
                cluster.kubectl,
                quoted(namespace),
                quoted(name)
            );
            let failed = connections_failed(evidence, &cluster.name);
            with_failed(failed, cluster, (Place::Workloads, seen, &fix))
        };
        Ok(found.into_iter().take(NAMED).map(told).collect())
    })
}

/// The policy that surely denies all traffic to a Service.
fn denying<'a>(policies: &'a [Policy], service: &Service, has_root: bool) -> Option<&'a Policy> {
    let is_root = |policy: &Policy| has_root && policy.namespace == ISTIO_NAMESPACE;
    let near = policies
        .iter()
        .filter(|one| is_root(one) || one.namespace == service.namespace);
    let mut held = near.clone().filter(|one| service.is_within(&one.selector));
    let denies = held.clone().find(|one| one.effect == Effect::DeniesAll);
    // One for some pods may allow what the others do not.
    let allows = near.clone().any(|one| one.effect == Effect::AllowsSome);
    denies.or_else(|| held.find(|one| one.effect == Effect::AllowsNone && !allows))
}

/// A Service that is one for all clusters elsewhere, and not here.
pub fn not_global(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let services = cluster.services.as_ref().map_err(Clone::clone)?;
        let mut global = BTreeMap::new();
        for other in evidence
            .clusters
            .iter()
            .filter(|one| one.name != cluster.name)
        {
            let others = other.services.as_ref().map_err(Clone::clone)?;
            let others = others.iter().filter(|one| one.is_global);
            let meant = others.filter(|one| is_meant(evidence, one));
            global.extend(meant.map(|one| (name(one), &other.name)));
        }
        let is_missed = |one: &&Service| !one.is_global && global.contains_key(&name(one));
        let here = services.iter().filter(is_missed).collect::<Vec<_>>();
        let elsewhere = here.first().and_then(|one| global.get(&name(one)));
        let Some((first, other)) = here.first().zip(elsewhere) else {
            return Ok(Vec::new());
        };
        let seen = format!(
            "{} has no label istio.io/global=true here, and has it in {other}: no traffic from other clusters comes to its pods",
            listed(&here)
        );
        let fix = format!(
            "{} -n {} label --overwrite service {} istio.io/global=true",
            cluster.kubectl,
            quoted(&first.namespace),
            quoted(&first.name)
        );
        let rank = (Likelihood::Likely, Place::Workloads);
        Ok(vec![likely(&cluster.name, rank, seen, fix)])
    })
}

fn name(service: &Service) -> (&str, &str) {
    (&service.namespace, &service.name)
}

/// Pods behind a Service of the mesh that no ztunnel carries the traffic of: their label says so, or istio-cni does not
/// redirect it. Whether istio-cni tells of it with an annotation, the pods of all clusters show.
pub fn left_out(evidence: &Evidence) -> Judgement {
    let mut all = evidence.clusters.iter();
    let is_annotated = all.any(|one| one.redirection.as_ref().is_ok_and(|seen| seen.is_seen));
    of_each(evidence, |cluster| {
        let labelled = cluster.left_out.as_ref().map_err(Clone::clone)?;
        let redirection = cluster.redirection.as_ref().map_err(Clone::clone)?;
        let (name, value) = REDIRECTED;
        let services = meant(evidence, cluster)?;
        let behind = |service: &Service, pods: &[LeftOut]| {
            pods.iter().filter(|pod| service.selects(pod)).count()
        };
        let rank = (Likelihood::Likely, Place::Workloads);
        let told = |service: &Service| -> Option<Likely> {
            let missed = behind(service, &redirection.missed);
            let count = behind(service, labelled);
            if count == 0 && missed > 0 && is_annotated {
                let seen = format!(
                    "{} has pods without annotation {name}={value} ({missed}), so istio-cni does not redirect their traffic to ztunnel",
                    listed(&[service])
                );
                let fix = format!(
                    "look at istio-cni on their nodes, and restart the pods when it is ready: {} get pods -A -o wide -l k8s-app=istio-cni-node",
                    cluster.kubectl
                );
                return Some(likely(&cluster.name, rank, seen, fix));
            }
            let seen = format!(
                "{} has pods with label istio.io/dataplane-mode=none ({count}), whose traffic no ztunnel carries",
                listed(&[service])
            );
            let fix = format!(
                "remove the label from the template of these pods: {} -n {} get pods -l istio.io/dataplane-mode=none",
                cluster.kubectl,
                quoted(&service.namespace)
            );
            (count > 0).then(|| likely(&cluster.name, rank, seen, fix))
        };
        Ok(services.filter_map(told).take(NAMED).collect())
    })
}
