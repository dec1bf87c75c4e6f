//! Causes in the ztunnels: what they do not tell each other about the ends of a connection between clusters.

use super::path::with_failed;
use super::traffic::connections_failed;
use super::{Judgement, Likelihood, Place, likely, of_each, readable};
use crate::check::Finding;
use crate::code::Code;
use crate::doctor::Likely;
use crate::doctor::evidence::{ClusterEvidence, Evidence, Flow, Reporter};
use crate::shell::quoted;

/// The name of a cluster that ztunnel does not know.
const UNKNOWN: &str = "unknown";
/// The name of the cluster of a gateway, which a ztunnel before 1.29 takes for the other end.
const GATEWAY: &str = "Kubernetes";
/// What the findings are about.
const SETS: &str = "DaemonSets";
/// The label of the DaemonSet that Kiali looks for.
const LABEL: &str = "app.kubernetes.io/name=ztunnel";

/// A ztunnel before 1.29 neither tells who it is nor asks.
pub fn old(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let findings = readable(cluster, Code::OldZtunnel, &[SETS])?;
        let moved = moved(evidence);
        let found = findings.into_iter().map(|finding| {
            let name = cluster.name.as_str();
            let sends = moved.iter().find(|flow| {
                flow.cluster == name
                    && flow.reporter == Reporter::Source
                    && flow.destination == GATEWAY
            });
            // Only the senders of other clusters miss the receiver; not those whose ztunnels are old themselves.
            let receives = moved.iter().find(|flow| {
                flow.cluster != name
                    && flow.reporter == Reporter::Source
                    && flow.destination == UNKNOWN
            });
            let (seen, place) = match (sends, receives) {
                (Some(_), _) => (
                    Some(format!("{name} reports traffic to a cluster \"{GATEWAY}\"")),
                    Place::Sender,
                ),
                (None, Some(flow)) => (
                    Some(format!(
                        "{} reports traffic to a cluster \"{UNKNOWN}\"",
                        flow.cluster
                    )),
                    Place::Receiver,
                ),
                (None, None) => (None, Place::Receiver),
            };
            of_finding(cluster, finding, seen, place)
        });
        Ok(found.collect())
    })
}

/// The receiver is told not to answer who it is.
pub fn silent(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let findings = readable(cluster, Code::NoResponseBaggage, &[SETS])?;
        let moved = moved(evidence);
        let found = findings.into_iter().map(|finding| {
            let name = cluster.name.as_str();
            let received = moved.iter().any(|flow| {
                flow.cluster == name
                    && flow.reporter == Reporter::Destination
                    && flow.source == UNKNOWN
            });
            let seen =
                received.then(|| format!("{name} reports traffic from a cluster \"{UNKNOWN}\""));
            of_finding(cluster, finding, seen, Place::Receiver)
        });
        Ok(found.collect())
    })
}

/// A node without a ztunnel that is ready has no traffic of the mesh.
pub fn not_ready(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let findings = readable(cluster, Code::ZtunnelNotReady, &[SETS])?;
        let found = findings.into_iter().map(|finding| {
            let seen = format!("{} {}", finding.object, finding.cause);
            let none = finding.cause.starts_with("0 of ");
            let failed = connections_failed(evidence, &cluster.name);
            let mut likely = with_failed(failed, cluster, (Place::Cluster, seen, &finding.fix));
            // Other nodes work, and nothing fails.
            if likely.likelihood == Likelihood::Likely && !none {
                likely.likelihood = Likelihood::Possible;
            }
            likely
        });
        Ok(found.collect())
    })
}

/// Kiali takes a cluster for one without ambient mode if no DaemonSet has the label.
pub fn not_seen(evidence: &Evidence) -> Judgement {
    of_each(evidence, |cluster| {
        let none = readable(cluster, Code::NoZtunnel, &[SETS])?;
        let set = cluster.ztunnel.as_ref().map_err(Clone::clone)?;
        let (Some(_), Some(set)) = (none.first(), set) else {
            return Ok(Vec::new());
        };
        let seen = format!(
            "{set} runs ztunnels and has no label {LABEL}, by which Kiali sees that a cluster is in ambient mode"
        );
        let fix = format!(
            "{} -n {} label --overwrite daemonset {} {LABEL}",
            cluster.kubectl,
            quoted(set.namespace.as_deref().unwrap_or_default()),
            quoted(&set.name)
        );
        let rank = (Likelihood::Likely, Place::Kiali);
        Ok(vec![likely(&cluster.name, rank, seen, fix)])
    })
}

fn of_finding(
    cluster: &ClusterEvidence,
    finding: &Finding,
    seen: Option<String>,
    place: Place,
) -> Likely {
    let likelihood = match seen {
        Some(_) => Likelihood::Seen,
        None => Likelihood::Likely,
    };
    let seen = seen.map(|seen| format!("; {seen}")).unwrap_or_default();
    let text = format!("{} {}{seen}", finding.object, finding.cause);
    likely(&cluster.name, (likelihood, place), text, &finding.fix)
}

/// The flows of the window, as far as they are known.
fn moved(evidence: &Evidence) -> &[Flow] {
    let metrics = evidence.metrics.as_ref().ok();
    let traffic = metrics.and_then(|metrics| metrics.traffic.as_ref().ok());
    traffic.map_or(&[], |traffic| &traffic.moved)
}
