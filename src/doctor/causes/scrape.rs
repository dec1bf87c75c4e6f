//! Causes on the way from the Prometheus of a cluster to the federating one: its Gateway, certificates and scrape target.

use std::time::Duration;

use super::collected::limit;
use super::path::with_failed;
use super::{Judgement, Likelihood, Place, likely, of_each};
use crate::doctor::evidence::{ClusterEvidence, Evidence, Known};
use crate::doctor::{Likely, Unknown};
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::mesh::ClusterName;
use crate::status::Row;
use crate::steps::aggregate_metrics::{self, ActiveTarget};

const NAMESPACE: &str = "-n istio-system";
const STARTED: Duration = Duration::from_secs(20);

/// Home does not get what a cluster has.
pub fn down(evidence: &Evidence) -> Judgement {
    if let Err(why) = targets(evidence) {
        return Judgement::unknown(&why);
    }
    let mut judgement = Judgement::default();
    for name in evidence.names() {
        let pool = aggregate_metrics::job(name);
        let target = target(evidence, name);
        match target.map(|target| (target, target.health.as_str())) {
            Some((target, "up")) => judgement.likely.extend(moved(evidence, name, target)),
            Some((target, "unknown")) => judgement.unknown.push(Unknown {
                cluster: Some(name.clone()),
                why: format!("{} was not scraped yet", target.url()),
            }),
            // Another cause.
            Some((target, _)) if limit(target).is_some() || late(evidence, target).is_some() => {}
            Some((target, _)) => judgement.likely.push(broken(evidence, name, target)),
            None if has_just_started(evidence) => judgement.unknown.push(Unknown {
                cluster: Some(name.clone()),
                why: "the federating Prometheus has just started".into(),
            }),
            None => {
                let seen = format!("the federating Prometheus has no scrape job {pool}");
                let rank = (Likelihood::Seen, Place::Federation);
                judgement
                    .likely
                    .push(likely(name, rank, seen, &evidence.install));
            }
        }
    }
    judgement
}

/// A scrape that was slow before it failed by its timeout: the server is there, and has too much to send.
pub fn too_slow(evidence: &Evidence) -> Judgement {
    if let Err(why) = targets(evidence) {
        return Judgement::unknown(&why);
    }
    let found = evidence.names().filter_map(|name| {
        let target = target(evidence, name)?;
        let before = late(evidence, target)?;
        let seen = format!(
            "{} is {}: {}; a scrape that was in time took {before}",
            target.url(),
            target.health,
            target.error()
        );
        let rank = (Likelihood::Seen, Place::Federation);
        let fix = "ambikiali estimate, then ambikiali install with a smaller --metrics profile or a longer --scrape-interval";
        Some(likely(name, rank, seen, fix))
    });
    Judgement::likely(found)
}

/// What the longest scrape in time took, of one that is too late now. An address that nothing answers at looks the same
/// now, but not before.
fn late(evidence: &Evidence, target: &ActiveTarget) -> Option<String> {
    let slowest = evidence.metrics.as_ref().ok()?.slowest.as_ref().ok()?;
    let is_late =
        target.health == "down" && target.last_error.contains("context deadline exceeded");
    let before = slowest.get(&target.scrape_pool).filter(|_| is_late)?;
    target.much_of_timeout(*before)
}

/// Prometheus lists its jobs up to 5 s after it is ready.
fn has_just_started(evidence: &Evidence) -> bool {
    let server = evidence.metrics.as_ref().ok();
    let server = server.and_then(|metrics| metrics.server.as_ref().ok());
    server
        .and_then(|server| server.age)
        .is_some_and(|age| age < STARTED)
}

fn of<'a>(evidence: &'a Evidence, name: &ClusterName) -> Option<&'a ClusterEvidence> {
    evidence.clusters.iter().find(|one| one.name == *name)
}

/// The Gateway has another address than the one that is scraped.
fn moved(evidence: &Evidence, name: &ClusterName, target: &ActiveTarget) -> Option<Likely> {
    let exposed = of(evidence, name)?.exposed.as_ref().ok()?.as_ref()?;
    let (now, scraped) = (exposed.url(), target.url());
    (now != scraped).then(|| {
        let seen =
            format!("the Gateway is at {now}, but the federating Prometheus scrapes {scraped}");
        let rank = (Likelihood::Likely, Place::Federation);
        likely(name, rank, seen, &evidence.install)
    })
}

fn broken(evidence: &Evidence, name: &ClusterName, target: &ActiveTarget) -> Likely {
    let (url, health, error) = (target.url(), &target.health, target.error());
    let mut seen = format!("{url} is {health}: {error}");
    let cluster = of(evidence, name);
    let own = cluster.is_some_and(|one| one.has_own_prometheus);
    let mut place = Place::Federation;
    if let Some(row) = cluster.and_then(|one| unready(one, Step::ClusterPrometheus, "Deployment")) {
        seen = format!("{seen}; {}", told(row));
        place = Place::ClusterPrometheus;
    }
    let fix = match (moved(evidence, name, target), cluster) {
        (Some(moved), _) => {
            seen = format!("{seen}; {}", moved.seen);
            moved.fix
        }
        (None, Some(cluster)) if !own => format!(
            "{} {NAMESPACE} get pods,gateways,httproutes",
            cluster.kubectl
        ),
        (None, _) => format!("look at the Prometheus of {name}, and at the way from home to it"),
    };
    likely(name, (Likelihood::Seen, place), seen, fix)
}

/// The row of an object of a step that is not ready.
pub fn unready<'a>(cluster: &'a ClusterEvidence, step: Step, kind: &str) -> Option<&'a Row> {
    let mut rows = cluster.rows.as_ref().ok()?.iter();
    rows.find(|row| {
        row.step == step
            && row.component.object.kind == kind
            && row.component.health != Health::Ready
    })
}

pub fn told(row: &Row) -> String {
    let why = match &row.component.health {
        Health::Ready => "ready",
        Health::InProgress(why) | Health::Failed(why) => why,
    };
    format!("{}: {why}", row.component.object)
}

/// Home does not know where a cluster's Prometheus is.
pub fn no_address(evidence: &Evidence) -> Judgement {
    // Without a federation, there are no Gateways.
    if evidence.has_store {
        return Judgement::default();
    }
    of_each(evidence, |cluster| {
        if cluster.exposed.as_ref().map_err(Clone::clone)?.is_some() {
            return Ok(Vec::new());
        }
        let kubectl = &cluster.kubectl;
        let (seen, fix) = match unready(cluster, Step::ExposePrometheus, "Gateway") {
            Some(row) if told(row).ends_with(": not found") => {
                (told(row), evidence.install.clone())
            }
            row => {
                let service = "prometheus-gateway-istio";
                let why = "has no address, so home cannot reach the Prometheus of this cluster";
                let status = row
                    .map(|row| format!("; {}", told(row)))
                    .unwrap_or_default();
                (
                    format!("Service istio-system/{service} {why}{status}"),
                    format!("{kubectl} {NAMESPACE} describe service {service}"),
                )
            }
        };
        let error = scrape_error(evidence, &cluster.name);
        Ok(vec![with_failed(
            error,
            cluster,
            (Place::Gateway, seen, &fix),
        )])
    })
}

/// The targets of the federating Prometheus.
pub fn targets(evidence: &Evidence) -> Known<&[ActiveTarget]> {
    let metrics = evidence.metrics.as_ref().map_err(Clone::clone)?;
    metrics.targets.as_deref().map_err(Clone::clone)
}

/// The scrape target of a cluster, if it is known.
pub fn target<'a>(evidence: &'a Evidence, name: &ClusterName) -> Option<&'a ActiveTarget> {
    let pool = aggregate_metrics::job(name);
    let mut targets = targets(evidence).ok()?.iter();
    targets.find(|target| target.scrape_pool == pool)
}

/// What the last scrape failed with.
pub fn scrape_error(evidence: &Evidence, name: &ClusterName) -> Option<String> {
    let target = target(evidence, name).filter(|target| target.health == "down")?;
    let (url, health, error) = (target.url(), &target.health, target.error());
    Some(format!("{url} is {health}: {error}"))
}

/// Both sides of mutual TLS do not know each other.
pub fn certificates(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let mut found = Vec::new();
        let (name, install) = (&cluster.name, &evidence.install);
        let rank = |likelihood| (likelihood, Place::Gateway);
        let rows = cluster.rows.as_ref().map_err(Clone::clone)?;
        let of_tls = |row: &&Row| {
            let steps = [Step::ExposePrometheus, Step::AggregateMetrics];
            steps.contains(&row.step) && row.component.object.kind == "Secret"
        };
        let broken = rows.iter().filter(of_tls);
        let broken = broken.filter(|row| row.component.health != Health::Ready);
        let broken = broken.map(|row| told(row).replace(": run install again", ""));
        let mut faults = broken.collect::<Vec<_>>();
        if faults.is_empty()
            && let Some(trust) = cluster.trust.as_ref().map_err(Clone::clone)?
        {
            if !trust.gateway_lets_home_in {
                faults.push("Secret istio-system/prometheus-gateway-tls: ca.crt is another certificate than that of the federating Prometheus".into());
            }
            if !trust.home_trusts_gateway {
                faults.push(format!("the federating Prometheus trusts another certificate than that of the Gateway of {name}"));
            }
        }
        let error = refused(evidence, name);
        if !faults.is_empty() {
            let (likelihood, error) = match error {
                Some(error) => (Likelihood::Seen, format!("; {error}")),
                None => (Likelihood::Likely, String::new()),
            };
            let seen = faults.join("; ") + &error;
            found.push(likely(name, rank(likelihood), seen, install));
        } else if let Some(error) = error {
            found.push(likely(name, rank(Likelihood::Seen), error, install));
        }
        Ok(found)
    })
}

/// The error of a scrape that failed in the handshake.
fn refused(evidence: &Evidence, name: &ClusterName) -> Option<String> {
    let target = target(evidence, name)?;
    let is_tls = ["tls: ", "x509: "]
        .iter()
        .any(|word| target.last_error.contains(word));
    (target.health != "up" && is_tls)
        .then(|| format!("{} is {}: {}", target.url(), target.health, target.error()))
}
