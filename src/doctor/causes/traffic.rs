//! Causes in the traffic itself, as the metrics count it.

use std::collections::BTreeSet;

use super::scrape::targets;
use super::{Judgement, Likelihood, Place, path};
use crate::doctor::Likely;
use crate::doctor::evidence::{Evidence, Flow, Known, Reporter, Traffic};
use crate::mesh::ClusterName;
use crate::visible;

/// How many characters of all response flags are shown.
const SHOWN: usize = 60;

fn traffic(evidence: &Evidence) -> Known<&Traffic> {
    let metrics = evidence.metrics.as_ref().map_err(Clone::clone)?;
    metrics.traffic.as_ref().map_err(Clone::clone)
}

/// The connections from a cluster to others that failed. Inside a cluster, the receiver tells more.
fn failed_from<'a>(
    traffic: &'a Traffic,
    from: &ClusterName,
) -> impl Iterator<Item = &'a Flow> + Clone {
    let from = from.to_string();
    traffic.failed.iter().filter(move |flow| {
        flow.cluster == from && flow.reporter == Reporter::Source && flow.destination != flow.source
    })
}

/// Says that connections fail that may be meant for this cluster, because those who send do not know the destination of
/// what fails.
pub fn connections_failed(evidence: &Evidence, to: &ClusterName) -> Option<String> {
    let traffic = traffic(evidence).ok()?;
    let others = evidence.names().filter(|other| *other != to);
    let failed = others.flat_map(|from| failed_from(traffic, from));
    let count = failed.map(|flow| flow.count).sum::<f64>();
    (count > 0.0).then(|| {
        let window = evidence.window();
        format!("about {count:.0} connections of other clusters failed in the last {window}")
    })
}

/// The other gateway or ztunnel is gone, or refuses.
pub fn failed(evidence: &Evidence) -> Judgement {
    let traffic = match traffic(evidence) {
        Ok(traffic) => traffic,
        Err(why) => return Judgement::unknown(&why),
    };
    let names = evidence.names().collect::<Vec<_>>();
    let explained = path::explained(evidence);
    let of_sender = |from: &ClusterName| {
        let failed = failed_from(traffic, from);
        let flags = failed.clone().map(|flow| flow.flags.as_str());
        let flags = flags
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>();
        let count = failed.map(|flow| flow.count).sum::<f64>();
        // A failed connection does not name its destination.
        let others = names.iter().filter(|other| **other != from);
        let others = others.collect::<Vec<_>>();
        let to = match others.as_slice() {
            [one] => Some((**one).clone()),
            _ => None,
        };
        // Another cause says why.
        if others.iter().any(|other| explained.contains(**other)) {
            return None;
        }
        (count > 0.0).then(|| Likely {
            likelihood: Likelihood::Seen,
            place: Place::Receiver,
            seen: format!(
                "about {count:.0} connections from {from} to {} failed in the last {} (response_flags {}): its east-west gateway or ztunnel is unreachable or refuses them",
                to.as_ref().map_or("another cluster", ClusterName::as_str),
                evidence.window(),
                visible::short(&flags.join(", "), SHOWN)
            ),
            fix: look(evidence, to.as_ref()),
            cluster: to,
        })
    };
    Judgement::likely(names.iter().filter_map(|from| of_sender(from)))
}

/// The command that shows the receiver's parts.
fn look(evidence: &Evidence, to: Option<&ClusterName>) -> String {
    let to = evidence.clusters.iter().find(|one| Some(&one.name) == to);
    match to {
        Some(to) => format!(
            "{} -n istio-system get pods,gateways,services -o wide",
            to.kubectl
        ),
        None => "ambikiali check, which looks at the east-west gateways and ztunnels".into(),
    }
}

/// What does not grow, or why that cannot be told.
fn still(evidence: &Evidence) -> Known<Option<&Traffic>> {
    let traffic = traffic(evidence)?;
    if !traffic.moved.is_empty() || !traffic.failed.is_empty() {
        return Ok(None);
    }
    let targets = targets(evidence)?;
    match targets.iter().find(|target| target.health != "up") {
        Some(down) => Err(format!(
            "{} is not up, so traffic may not be seen",
            down.url()
        )),
        None => Ok(Some(traffic)),
    }
}

/// Counters that appeared with their value have no rate.
pub fn burst(evidence: &Evidence) -> Judgement {
    let came_at_once = match still(evidence).and_then(|still| Ok((still, is_covered(evidence)?))) {
        Ok((still, is_covered)) => still.filter(|traffic| is_covered && traffic.new > 0.0),
        Err(why) => return Judgement::unknown(&why),
    };
    Judgement::likely(came_at_once.map(|traffic| {
        let seen = format!(
            "{:.0} connections were counted in the last {}, all before the first scrape of their counters, so their rate is 0",
            traffic.new,
            evidence.window()
        );
        of_traffic(Likelihood::Seen, seen)
    }))
}

/// Whether the metrics of all clusters reach back to the begin of the window. If not, a counter that is new to the
/// federating Prometheus may be old.
fn is_covered(evidence: &Evidence) -> Known<bool> {
    let metrics = evidence.metrics.as_ref().map_err(Clone::clone)?;
    let covered = metrics.covered.as_ref().map_err(Clone::clone)?;
    let is_one = |name: &ClusterName| covered.iter().any(|one| one == name.as_str());
    Ok(evidence.names().all(is_one))
}

/// Nothing to draw.
pub fn none(evidence: &Evidence) -> Judgement {
    let nothing = match still(evidence).and_then(|still| Ok((still, is_covered(evidence)?))) {
        Ok((still, is_covered)) => still.filter(|traffic| !is_covered || traffic.new == 0.0),
        Err(why) => return Judgement::unknown(&why),
    };
    Judgement::likely(nothing.map(|traffic| {
        let before = match traffic.counted {
            0.0 => "none was ever counted".into(),
            counted => format!("{counted:.0} connections were counted before that"),
        };
        let seen = format!(
            "no counter of {} grew in the last {}; {before}",
            asked(evidence),
            evidence.window()
        );
        of_traffic(Likelihood::Likely, seen)
    }))
}

fn asked(evidence: &Evidence) -> String {
    let question = &evidence.question;
    match (&question.namespace, &question.service) {
        (None, None) => "traffic".into(),
        (Some(namespace), None) => format!("traffic to namespace {namespace}"),
        (None, Some(service)) => format!("traffic to Services {service}"),
        (Some(namespace), Some(service)) => format!("traffic to Service {namespace}/{service}"),
    }
}

fn of_traffic(likelihood: Likelihood, seen: String) -> Likely {
    Likely {
        cluster: None,
        likelihood,
        place: Place::Workloads,
        seen,
        fix: "send requests for a minute or longer, or ambikiali verify, which sends some".into(),
    }
}
