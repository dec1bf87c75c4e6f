//! Counters of the sample's traffic in the federating Prometheus, by reporter and by pair of clusters. Only
//! their growth counts: an old counter proves nothing.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::prometheus::Sample;

const RECEIVED: &str = "istio_tcp_received_bytes_total";
const FAILED: &str = "istio_tcp_connections_failed_total";
/// Selects by the Service's labels, which both ends know even if they do not know each other.
pub const QUERY: &str = r#"sum by (__name__, cluster, reporter, source_cluster, destination_cluster, response_flags) ({__name__=~"istio_tcp_received_bytes_total|istio_tcp_connections_failed_total", destination_service_name="helloworld", destination_service_namespace="sample"})"#;
/// Far more series than any mesh has.
const MOST: usize = 10_000;
/// Above this value, numbers in Prometheus are no longer exact integers.
const EXACT: f64 = 9e15;

/// One series of the query.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    counter: Counter,
    /// The cluster whose Prometheus has the series.
    cluster: String,
    reporter: Reporter,
    source: String,
    destination: String,
    flags: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    Bytes,
    Failures,
}

/// The end of a connection that reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reporter {
    Source,
    Destination,
}

/// The first and the last value of each series.
#[derive(Default)]
pub struct Flows {
    seen: BTreeMap<Flow, (f64, f64)>,
}

impl Flow {
    /// Returns None for a series that the query did not ask for.
    fn of(sample: &mut Sample) -> Option<Flow> {
        let mut label = |name: &str| sample.metric.remove(name).unwrap_or_default();
        let counter = match label("__name__").as_str() {
            RECEIVED => Counter::Bytes,
            FAILED => Counter::Failures,
            _ => return None,
        };
        let reporter = match label("reporter").as_str() {
            "source" => Reporter::Source,
            "destination" => Reporter::Destination,
            _ => return None,
        };
        Some(Flow {
            counter,
            reporter,
            cluster: label("cluster"),
            source: label("source_cluster"),
            destination: label("destination_cluster"),
            flags: label("response_flags"),
        })
    }
}

impl Flows {
    pub fn add(&mut self, samples: Vec<Sample>) -> Result<()> {
        // Bytes are summed over all response flags.
        let mut now = BTreeMap::<Flow, f64>::new();
        for mut sample in samples {
            let Some(value) = sample.count() else {
                continue;
            };
            if let Some(mut flow) = Flow::of(&mut sample) {
                if flow.counter == Counter::Bytes {
                    flow.flags.clear();
                }
                *now.entry(flow).or_default() += value;
            }
        }
        for (flow, value) in now {
            ensure!(
                self.seen.len() < MOST || self.seen.contains_key(&flow),
                "the federating Prometheus has more than {MOST} pairs of clusters in its metrics"
            );
            let (first, last) = self.seen.entry(flow).or_insert((value, value));
            // The counters of a restarted ztunnel start at 0.
            (*first, *last) = (first.min(value), value);
        }
        Ok(())
    }

    /// The growth of a counter since it was first seen, as one end reports it.
    pub fn grown(
        &self,
        counter: Counter,
        cluster: &str,
        reporter: Reporter,
        between: impl Fn(&str, &str) -> bool,
    ) -> f64 {
        let all = self.of(counter, cluster, reporter);
        let between = all.filter(|(flow, ..)| between(&flow.source, &flow.destination));
        between.map(|(_, first, last)| last - first).sum()
    }

    /// The last sum of bytes that one end reports; None if there is no series.
    pub fn last(&self, cluster: &str, reporter: Reporter) -> Option<f64> {
        let last = self.of(Counter::Bytes, cluster, reporter);
        last.map(|(_, _, last)| last)
            .fold(None, |sum, last| Some(sum.unwrap_or(0.0) + last))
    }

    /// The response flags of connections that failed since the start, as one end reports them.
    pub fn flags(
        &self,
        cluster: &str,
        reporter: Reporter,
        between: impl Fn(&str, &str) -> bool,
    ) -> Vec<&str> {
        let failed = self.of(Counter::Failures, cluster, reporter);
        let failed = failed
            .filter(|(flow, first, last)| between(&flow.source, &flow.destination) && last > first);
        let mut flags: Vec<_> = failed.map(|(flow, ..)| flow.flags.as_str()).collect();
        flags.sort_unstable();
        flags.dedup();
        flags
    }

    fn of(
        &self,
        counter: Counter,
        cluster: &str,
        reporter: Reporter,
    ) -> impl Iterator<Item = (&Flow, f64, f64)> {
        let is = move |flow: &Flow| {
            flow.counter == counter && flow.cluster == cluster && flow.reporter == reporter
        };
        let found = self.seen.iter().filter(move |(flow, _)| is(flow));
        found.map(|(flow, (first, last))| (flow, *first, *last))
    }
}

/// Formats a number of bytes, as in `1764 B`.
pub fn bytes(count: f64) -> String {
    match count < EXACT {
        true => format!("{count:.0} B"),
        false => "more than 9 PB".into(),
    }
}

#[cfg(test)]
mod tests;
