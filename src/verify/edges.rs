//! Checks that the metrics have the edges that Kiali draws between clusters. Kiali goes by the clusters that
//! the series name. A ztunnel that does not know the other end reports "unknown", or "Kubernetes" if it knows
//! only the gateway of another network.

use std::time::Duration;

use super::flows::{Counter, Flows, Reporter, bytes};
use super::{Finding, Hop, Verdict};
use crate::mesh::ClusterName;
use crate::visible;

/// The cluster name that ztunnel before 1.29 reports for a gateway.
const GATEWAY: &str = "Kubernetes";
const DENIED: &str = "DENY";

/// An edge from the sender's cluster to another one, as each end reports it.
struct Edge<'a> {
    from: &'a str,
    to: &'a str,
    flows: &'a Flows,
}

fn is_unknown(cluster: &str) -> bool {
    matches!(cluster, "unknown" | "")
}

impl Edge<'_> {
    fn grown(&self, reporter: Reporter, between: impl Fn(&str, &str) -> bool) -> f64 {
        let cluster = match reporter {
            Reporter::Source => self.from,
            Reporter::Destination => self.to,
        };
        self.flows.grown(Counter::Bytes, cluster, reporter, between)
    }

    /// Bytes in series that name both clusters.
    fn grown_exactly(&self, reporter: Reporter) -> f64 {
        self.grown(reporter, |from, to| from == self.from && to == self.to)
    }

    fn sent_to(&self, is: impl Fn(&str) -> bool) -> f64 {
        self.grown(Reporter::Source, |from, to| from == self.from && is(to))
    }

    fn sent_to_unknown(&self) -> f64 {
        self.sent_to(is_unknown)
    }

    fn sent_to_gateway(&self) -> f64 {
        match self.to {
            GATEWAY => 0.0,
            _ => self.sent_to(|to| to == GATEWAY),
        }
    }

    fn received_from_unknown(&self) -> f64 {
        self.grown(Reporter::Destination, |from, to| {
            is_unknown(from) && to == self.to
        })
    }

    /// Whether both ends have reported traffic, even if they do not know each other.
    fn is_reported(&self) -> bool {
        let source =
            self.grown_exactly(Reporter::Source) + self.sent_to_unknown() + self.sent_to_gateway();
        let destination = self.grown_exactly(Reporter::Destination) + self.received_from_unknown();
        source > 0.0 && destination > 0.0
    }

    fn is_denied(&self) -> bool {
        let from = |source: &str, _: &str| source == self.from || is_unknown(source);
        let flags = self.flows.flags(self.to, Reporter::Destination, from);
        flags.contains(&DENIED)
    }

    /// Failures on the way to any other cluster: a failed connection does not name its destination.
    fn failures(&self) -> Vec<&str> {
        let from = |source: &str, to: &str| source == self.from && to != self.from;
        self.flows.flags(self.from, Reporter::Source, from)
    }

    fn judge(&self, patience: Duration) -> (Verdict, String) {
        let Edge { from, to, .. } = self;
        let (source, destination) = (
            self.grown_exactly(Reporter::Source),
            self.grown_exactly(Reporter::Destination),
        );
        if self.is_denied() {
            let what = format!(
                "{to} denies connections from {from} (response_flags {DENIED}): an AuthorizationPolicy there does not allow them"
            );
            return (Verdict::Broken, what);
        }
        // Both ends report the same bytes, so count them once.
        let grown = [destination, source].into_iter().find(|n| *n > 0.0);
        if let Some(grown) = grown {
            let grown = bytes(grown);
            let extra_edge = self.extra_edge();
            return (
                Verdict::Holds,
                format!("received bytes from {from} grew by {grown}{extra_edge}"),
            );
        }
        if self.received_from_unknown() > 0.0 {
            let what = format!(
                "received bytes grew, but from cluster \"unknown\": Kiali shows no edge from {from}; ztunnel of {to} has ENABLE_RESPONSE_BAGGAGE=false (AK1230)"
            );
            return (Verdict::Broken, what);
        }
        let failures = self.failures();
        if !failures.is_empty() {
            let flags = failures.join(", ");
            let flags = visible::short(&flags, 60);
            let what = format!(
                "connections from {from} to another cluster fail (response_flags {flags}): the east-west gateway or ztunnel of {to} is unreachable or refuses them"
            );
            return (Verdict::Broken, what);
        }
        let within = format!("within {} s of traffic", patience.as_secs());
        if self.grown(Reporter::Source, |_, _| true) == 0.0
            && self.grown(Reporter::Destination, |_, _| true) == 0.0
        {
            let what = format!("neither {from} nor {to} reported anything {within}");
            return (Verdict::Unproven, what);
        }
        let what = format!("no received bytes from {from} {within}");
        (Verdict::Broken, what)
    }

    /// Describes the extra edge that Kiali draws if one end does not know the other.
    fn extra_edge(&self) -> String {
        let Edge { from, to, .. } = self;
        if self.grown_exactly(Reporter::Source) > 0.0 {
            return String::new();
        }
        match (self.sent_to_gateway() > 0.0, self.sent_to_unknown() > 0.0) {
            (true, _) => format!(
                "; ztunnel of {from} is older than 1.29 (AK1209): Kiali shows a second edge, to a cluster \"{GATEWAY}\" that does not exist"
            ),
            (_, true) => format!(
                "; ztunnel of {to} is older than 1.29 (AK1209): Kiali shows a second edge, inside {from}"
            ),
            _ => String::new(),
        }
    }
}

/// Returns one finding for each cluster except the sender's.
pub fn judge(
    from: &ClusterName,
    clusters: &[ClusterName],
    flows: &Flows,
    patience: Duration,
) -> Vec<Finding> {
    let edges = clusters.iter().filter(|to| *to != from).map(|to| {
        let (verdict, text) = edge(from, to, flows).judge(patience);
        Finding::with_verdict(Hop::Edge, Some(to), verdict, text)
    });
    edges.collect()
}

/// Whether both ends of every edge have reported.
pub fn are_reported(from: &ClusterName, clusters: &[ClusterName], flows: &Flows) -> bool {
    let mut others = clusters.iter().filter(|to| *to != from);
    others.all(|to| edge(from, to, flows).is_reported())
}

/// Whether a receiver reports that it denies connections, which is the final reason of a failure.
pub fn is_denied(from: &ClusterName, clusters: &[ClusterName], flows: &Flows) -> bool {
    let mut others = clusters.iter().filter(|to| *to != from);
    others.any(|to| edge(from, to, flows).is_denied())
}

/// Whether the sender's end has counted a failed connection.
pub fn have_failed(from: &ClusterName, flows: &Flows) -> bool {
    let flags = flows.flags(from.as_str(), Reporter::Source, |source, _| {
        source == from.as_str()
    });
    !flags.is_empty()
}

fn edge<'a>(from: &'a ClusterName, to: &'a ClusterName, flows: &'a Flows) -> Edge<'a> {
    Edge {
        from: from.as_str(),
        to: to.as_str(),
        flows,
    }
}

#[cfg(test)]
mod tests;
