//! What both ends of a flow report about it, in their own pages or in the federating Prometheus. Kiali goes by the
//! clusters that the series name. A ztunnel that does not know the other end reports "unknown", or "Kubernetes" if it
//! knows only the gateway of another network.

use super::counters::{Counter, Counters, bytes};
use crate::code::Code;
use crate::prometheus::Reporter;
use crate::visible;

/// The cluster name that ztunnel before 1.29 reports for a gateway.
const GATEWAY: &str = "Kubernetes";
const DENIED: &str = "DENY";

/// A flow from one cluster to another one, or within one, as each end reports it.
pub struct Edge<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub counters: &'a Counters,
}

/// How one end reports a flow, with the bytes that were added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reported {
    /// It names both clusters.
    Named(f64),
    /// It does not know the other end. The bytes may be those of another flow.
    Unknown(f64),
    /// It knows only the gateway of another network. The bytes may be those of another flow.
    Gateway(f64),
    Nothing,
}

impl Reported {
    pub fn is_nothing(self) -> bool {
        self == Reported::Nothing
    }
}

fn is_unknown(cluster: &str) -> bool {
    matches!(cluster, "unknown" | "")
}

impl Edge<'_> {
    fn is_within(&self) -> bool {
        self.from == self.to
    }

    fn grown(&self, reporter: Reporter, between: impl Fn(&str, &str) -> bool) -> f64 {
        let cluster = self.cluster(reporter);
        self.counters
            .grown(Counter::Bytes, cluster, reporter, between)
    }

    /// The cluster that reports this end.
    pub fn cluster(&self, reporter: Reporter) -> &str {
        match reporter {
            Reporter::Source => self.from,
            Reporter::Destination => self.to,
        }
    }

    pub fn reported(&self, reporter: Reporter) -> Reported {
        let named = self.grown(reporter, |from, to| from == self.from && to == self.to);
        if named > 0.0 {
            return Reported::Named(named);
        }
        // Within a cluster, both ends know each other.
        if self.is_within() {
            return Reported::Nothing;
        }
        let other_end_is = |is: fn(&str) -> bool| {
            self.grown(reporter, |from, to| match reporter {
                Reporter::Source => from == self.from && is(to),
                Reporter::Destination => is(from) && to == self.to,
            })
        };
        let gateway = match reporter {
            Reporter::Source if self.to != GATEWAY => other_end_is(|cluster| cluster == GATEWAY),
            _ => 0.0,
        };
        let unknown = other_end_is(is_unknown);
        match () {
            () if gateway > 0.0 => Reported::Gateway(gateway),
            () if unknown > 0.0 => Reported::Unknown(unknown),
            () => Reported::Nothing,
        }
    }

    /// The last value of the series that name both clusters; None if there are none.
    pub fn last(&self, reporter: Reporter) -> Option<String> {
        let named = |from: &str, to: &str| from == self.from && to == self.to;
        let last = self.counters.last(self.cluster(reporter), reporter, named);
        last.map(bytes)
    }

    /// Whether the receiver reports that it denies connections of the sender.
    pub fn is_denied(&self) -> bool {
        let from = |source: &str, _: &str| source == self.from || is_unknown(source);
        let flags = self.counters.flags(self.to, Reporter::Destination, from);
        flags.contains(&DENIED)
    }

    /// Failures on the way to any other cluster: a failed connection does not name its destination.
    fn failures(&self) -> Vec<&str> {
        let from = |source: &str, to: &str| source == self.from && to != self.from;
        self.counters.flags(self.from, Reporter::Source, from)
    }

    /// Why connections fail, as both ends report it.
    pub fn cause(&self) -> Option<String> {
        let Edge { from, to, .. } = self;
        if self.is_denied() {
            return Some(format!(
                "{to} denies connections from {from} (response_flags {DENIED}): an AuthorizationPolicy there does not allow them"
            ));
        }
        let failures = self.failures();
        if failures.is_empty() || self.is_within() {
            return None;
        }
        let flags = failures.join(", ");
        let flags = visible::short(&flags, 60);
        Some(format!(
            "connections from {from} to another cluster fail (response_flags {flags}): the east-west gateway or ztunnel of {to} is unreachable or refuses them"
        ))
    }

    /// Why Kiali shows no edge although the receiver has counted bytes.
    pub fn hidden(&self) -> String {
        let Edge { from, to, .. } = self;
        format!(
            "received bytes grew, but from cluster \"unknown\": Kiali shows no edge from {from}; ztunnel of {to} has ENABLE_RESPONSE_BAGGAGE=false (AK1230)"
        )
    }

    /// The extra edge that Kiali draws if the sender does not know the receiver, which knows the sender.
    pub fn extra_edge(&self) -> Option<(Code, String)> {
        let Edge { from, to, .. } = self;
        let Reported::Named(_) = self.reported(Reporter::Destination) else {
            return None;
        };
        let text = match self.reported(Reporter::Source) {
            Reported::Gateway(_) => format!(
                "ztunnel of {from} is older than 1.29: Kiali shows a second edge, to a cluster \"{GATEWAY}\" that does not exist"
            ),
            Reported::Unknown(_) => format!(
                "ztunnel of {to} is older than 1.29: Kiali shows a second edge, inside {from}"
            ),
            Reported::Named(_) | Reported::Nothing => return None,
        };
        Some((Code::OldZtunnel, text))
    }
}

#[cfg(test)]
mod tests;
