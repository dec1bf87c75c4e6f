//! Causes in the clusters themselves: their clocks, and their namespaces in the mesh.

use k8s_openapi::jiff::SignedDuration;

use super::{Judgement, Likelihood, Place, likely, of_each};
use crate::doctor::Likely;
use crate::doctor::evidence::{ClusterEvidence, Evidence, Known, Namespace};
use crate::shell::quoted;

/// As `check` does.
const SKEW: SignedDuration = SignedDuration::from_secs(30);
/// How old the newest sample of a cluster may be beside three intervals, of which the scrapes are at most two.
const LATE: f64 = 30.0;

/// Metrics of clusters whose clocks differ do not meet in one graph.
pub fn clock(evidence: &Evidence) -> Judgement {
    let ages = match evidence.metrics.as_ref().map(|metrics| &metrics.ages) {
        Ok(Ok(ages)) => Some(ages),
        _ => None,
    };
    let late = evidence.interval.as_secs_f64() * 3.0 + LATE;
    of_each(evidence, |cluster| {
        let ahead = cluster.ahead.ok_or("its API server tells no time")?;
        if ahead.abs() <= SKEW {
            return Ok(Vec::new());
        }
        let home = evidence
            .home_cluster()
            .map_or("home", |home| home.name.as_str());
        let way = if ahead.is_positive() {
            "ahead of"
        } else {
            "behind"
        };
        let seconds = ahead.abs().as_secs();
        let mut seen = format!("the clock of its API server is {seconds} s {way} that of {home}");
        let mut likelihood = Likelihood::Likely;
        let age = ages.and_then(|ages| ages.get(cluster.name.as_str()));
        if let Some(age) = age.filter(|age| **age > late) {
            seen = format!("{seen}, and its newest sample is {age:.0} s old");
            likelihood = Likelihood::Seen;
        }
        let fix = "set the clock that is wrong, on the nodes of that cluster: timedatectl status";
        Ok(vec![likely(
            &cluster.name,
            (likelihood, Place::Cluster),
            seen,
            fix,
        )])
    })
}

/// Pods that no ztunnel carries the traffic of.
pub fn not_in_mesh(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let namespaces = cluster.namespaces.as_ref().map_err(Clone::clone)?;
        let outside = namespaces
            .iter()
            .filter(|one| !one.is_ambient && !one.has_sidecars);
        let mut found = Vec::new();
        for namespace in outside {
            if let Some(why) = expected(evidence, cluster, namespace)? {
                found.push(outside_of_mesh(cluster, namespace, &why));
            }
        }
        Ok(found)
    })
}

/// Why a namespace should be in the mesh, if there is a reason.
fn expected(
    evidence: &Evidence,
    cluster: &ClusterEvidence,
    namespace: &Namespace,
) -> Known<Option<String>> {
    match &evidence.question.namespace {
        Some(asked) if *asked != namespace.name => return Ok(None),
        Some(_) => return Ok(Some("which you ask about".into())),
        None => {}
    }
    // The namespaces of one name are one namespace of the mesh.
    let others = evidence
        .clusters
        .iter()
        .filter(|other| other.name != cluster.name);
    let mut others = others.filter(|other| {
        let namespaces = other.namespaces.as_deref().unwrap_or_default();
        let mut same = namespaces.iter().filter(|one| one.name == namespace.name);
        same.any(|one| one.is_ambient)
    });
    Ok(others
        .next()
        .map(|other| format!("and has it in {}", other.name)))
}

fn outside_of_mesh(cluster: &ClusterEvidence, namespace: &Namespace, why: &str) -> Likely {
    let Namespace { name, .. } = namespace;
    let seen = format!("Namespace {name} has no label istio.io/dataplane-mode=ambient here, {why}");
    let fix = format!(
        "{} label namespace {} istio.io/dataplane-mode=ambient",
        cluster.kubectl,
        quoted(name)
    );
    let rank = (Likelihood::Likely, Place::Workloads);
    likely(&cluster.name, rank, seen, fix)
}
