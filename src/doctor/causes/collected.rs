//! Causes in what the federating Prometheus collects: whether it runs, limits and policies that stop a scrape, and what a
//! scrape that works does not have.

use super::kiali::{home_row, of_home};
use super::path::with_failed;
use super::scrape::{scrape_error, target, targets};
use super::workloads::meant;
use super::{Judgement, Likelihood, Place, likely, of_each, readable, with_code};
use crate::check::Finding;
use crate::code::Code;
use crate::doctor::evidence::Evidence;
use crate::guide::Step;
use crate::mesh::ClusterName;
use crate::steps::aggregate_metrics::{self, ActiveTarget};
use crate::visible;

/// The limit of a scrape that was exceeded, by Prometheus' words.
pub fn limit(target: &ActiveTarget) -> Option<&'static str> {
    const LIMITS: [&str; 5] = [
        "body size limit exceeded",
        "sample limit exceeded",
        "label_limit exceeded",
        "label_name_length_limit exceeded",
        "label_value_length_limit exceeded",
    ];
    let error = &target.last_error;
    LIMITS.into_iter().find(|limit| error.contains(limit))
}

/// A limit in the configuration of the federating Prometheus drops all that a cluster has.
pub fn limited(evidence: &Evidence) -> Judgement {
    let targets = match targets(evidence) {
        Ok(targets) => targets,
        Err(why) => return Judgement::unknown(&why),
    };
    let found = evidence.names().filter_map(|name| {
        let pool = aggregate_metrics::job(name);
        let mut of_it = targets.iter().filter(|target| target.scrape_pool == pool);
        let target = of_it.find(|target| target.health != "up" && limit(target).is_some())?;
        let seen = format!("{} is {}: {}", target.url(), target.health, target.error());
        let rank = (Likelihood::Seen, Place::Federation);
        Some(likely(name, rank, seen, &evidence.install))
    });
    Judgement::likely(found)
}

/// The scrape works, and what is scraped has nothing of the ztunnels of a cluster.
pub fn not_collected(evidence: &Evidence) -> Judgement {
    let metrics = match &evidence.metrics {
        Ok(metrics) => metrics,
        Err(why) => return Judgement::unknown(why),
    };
    let known = (&metrics.targets, &metrics.ztunnels, &metrics.series);
    let (ztunnels, series) = match known {
        (Ok(_), Ok(ztunnels), Ok(series)) => (ztunnels, series),
        (Err(why), ..) | (_, Err(why), _) | (.., Err(why)) => return Judgement::unknown(why),
    };
    of_each(evidence, |cluster| {
        let target = target(evidence, &cluster.name);
        let is_up = target.is_some_and(|target| target.health == "up");
        let has_some = ztunnels.iter().any(|name| name == cluster.name.as_str());
        // That the scrape fails is another cause.
        if has_some || !is_up {
            return Ok(Vec::new());
        }
        let is_known = |name: &str| evidence.names().any(|known| known.as_str() == name);
        if !series
            .keys()
            .all(|name| name.as_deref().is_some_and(is_known))
        {
            return Err("series under another name may be of its ztunnels".into());
        }
        if !with_code(cluster, Code::NoZtunnel)?.is_empty() {
            return Err("it has no ztunnel that is known".into());
        }
        if !with_code(cluster, Code::ZtunnelNotReady)?.is_empty() {
            return Err("a ztunnel that is not ready has no metrics".into());
        }
        let seen = "the scrape works, but has no series of a ztunnel: the Prometheus of this cluster does not collect them";
        let fix = match cluster.has_own_prometheus {
            true => "have your Prometheus scrape port 15020 of the pods with label app=ztunnel, path /stats/prometheus".into(),
            false => format!(
                "{} get pods -A -l app=ztunnel -o custom-columns='NAME:.metadata.name,SCRAPE:.metadata.annotations.prometheus\\.io/scrape'",
                cluster.kubectl
            ),
        };
        let rank = (Likelihood::Seen, Place::ClusterPrometheus);
        Ok(vec![likely(&cluster.name, rank, seen, fix)])
    })
}

/// Traffic goes through a waypoint, as a label says, and no series of a waypoint comes from the cluster.
pub fn without_waypoint(evidence: &Evidence) -> Judgement {
    let metrics = match &evidence.metrics {
        Ok(metrics) => metrics,
        Err(why) => return Judgement::unknown(why),
    };
    let (waypoints, traffic) = match (&metrics.waypoints, &metrics.traffic) {
        (Ok(waypoints), Ok(traffic)) => (waypoints, traffic),
        (Err(why), _) | (_, Err(why)) => return Judgement::unknown(why),
    };
    of_each(evidence, |cluster| {
        let services = meant(evidence, cluster)?;
        let target = target(evidence, &cluster.name);
        let is_up = target.is_some_and(|target| target.health == "up");
        let has_some = waypoints.iter().any(|name| name == cluster.name.as_str());
        let has_traffic = traffic
            .moved
            .iter()
            .any(|flow| flow.destination == cluster.name.as_str());
        let mut through = services.filter_map(|one| Some((one, one.waypoint.as_ref()?)));
        let Some((service, waypoint)) =
            through.next().filter(|_| is_up && has_traffic && !has_some)
        else {
            return Ok(Vec::new());
        };
        let (namespace, waypoint) = (&service.namespace, visible::short(waypoint, visible::SAID));
        let seen = format!(
            "Service {namespace}/{} has waypoint {waypoint}, but there is no series of a waypoint of this cluster: Kiali shows no requests, only bytes",
            service.name
        );
        let fix = format!(
            "{} get pods -A -l gateway.networking.k8s.io/gateway-name -o custom-columns='NAME:.metadata.name,SCRAPE:.metadata.annotations.prometheus\\.io/scrape'",
            cluster.kubectl
        );
        let rank = (Likelihood::Likely, Place::ClusterPrometheus);
        Ok(vec![likely(&cluster.name, rank, seen, fix)])
    })
}

/// No pod of the federating Prometheus is ready.
pub fn no_federation(evidence: &Evidence) -> Judgement {
    match &evidence.home.federation {
        Err(why) => Judgement::unknown(why),
        Ok(Some(false)) => {
            let status = home_row(evidence, Step::AggregateMetrics);
            let seen = format!("no pod of the federating Prometheus is ready{status}");
            let mut likely = of_home(evidence, seen, "describe pods -l app=prometheus");
            likely.place = Place::Federation;
            Judgement::likely([likely])
        }
        Ok(_) => Judgement::default(),
    }
}

/// A policy has the Gateway deny the scrape.
pub fn denied(evidence: &Evidence) -> Judgement {
    blocked(evidence, Code::DeniedByPolicy, "AuthorizationPolicies")
}

/// A policy that the network enforces keeps packets from the pods of the install. Whether it does is not known.
pub fn cut_off(evidence: &Evidence) -> Judgement {
    blocked(evidence, Code::CutOffByNetworkPolicy, "NetworkPolicies")
}

/// What would block the way of the metrics. If they come, it does not.
fn blocked(evidence: &Evidence, code: Code, kind: &str) -> Judgement {
    of_each(evidence, |cluster| {
        let findings = readable(cluster, code, &[kind])?;
        let target = target(evidence, &cluster.name);
        let come = comes_to_store(evidence, &cluster.name)
            || target.is_some_and(|target| target.health == "up");
        if let Some(target) = target.filter(|target| target.health == "unknown")
            && !findings.is_empty()
        {
            return Err(format!("{} was not scraped yet", target.url()));
        }
        let error = scrape_error(evidence, &cluster.name);
        let told = |finding: &Finding| {
            let is_of_kiali = finding.object.namespace.as_ref() == Some(&evidence.namespace);
            if come && !is_of_kiali {
                return None;
            }
            let seen = format!("{} {}", finding.object, finding.cause);
            let mut likely =
                with_failed(error.clone(), cluster, (Place::Gateway, seen, &finding.fix));
            // What comes to home may not come to Kiali.
            if come {
                likely.likelihood = Likelihood::Possible;
            }
            Some(likely)
        };
        Ok(findings.into_iter().filter_map(told).collect())
    })
}

/// Whether a store of the user's has what a cluster writes.
fn comes_to_store(evidence: &Evidence, name: &ClusterName) -> bool {
    let stored = evidence.stored.as_deref().unwrap_or_default();
    let mut of_it = stored
        .iter()
        .filter(|one| one.cluster.as_ref() == Some(name));
    of_it.any(|one| one.code.is_none())
}
