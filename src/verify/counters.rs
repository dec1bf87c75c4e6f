//! Counters of the traffic to a Service, by reporter and by pair of clusters: of the federating Prometheus, or of
//! ztunnels' own pages. Only their growth counts: an old counter proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::probe::Service;
use crate::prometheus::Reporter;

const RECEIVED: &str = "istio_tcp_received_bytes_total";
const FAILED: &str = "istio_tcp_connections_failed_total";
/// Far more series than any mesh has.
const MOST: usize = 10_000;
/// Above this value, numbers in Prometheus are no longer exact integers.
const EXACT: f64 = 9e15;

/// The labels of a series, and its value.
pub type Row = (BTreeMap<String, String>, f64);

/// One series, without the labels that do not matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Series {
    counter: Counter,
    /// The cluster that has the series.
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

/// What the first value of a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// It may have been there before.
    Unknown,
    /// It was not there before, so it began at 0.
    Growth,
}

/// The first and the last value of each series.
#[derive(Default)]
pub struct Counters {
    seen: BTreeMap<Series, (f64, f64)>,
}

/// Selects by the Service's labels, which both ends know even if they do not know each other.
pub fn query(services: &BTreeSet<Service>) -> String {
    let any = |part: fn(&Service) -> &str| {
        let parts = services.iter().map(part).collect::<BTreeSet<_>>();
        parts.into_iter().collect::<Vec<_>>().join("|")
    };
    let (names, namespaces) = (any(|s| &s.name), any(|s| &s.namespace));
    format!(
        "sum by (__name__, cluster, reporter, source_cluster, destination_cluster, response_flags) ({{__name__=~\"{RECEIVED}|{FAILED}\", destination_service_name=~\"{names}\", destination_service_namespace=~\"{namespaces}\"}})"
    )
}

/// Whether a series of this name may count.
pub fn is_counter(name: &str) -> bool {
    matches!(name, RECEIVED | FAILED)
}

impl Series {
    /// Returns None for a series that nobody asked for.
    fn of(labels: &mut BTreeMap<String, String>) -> Option<Series> {
        let mut label = |name: &str| labels.remove(name).unwrap_or_default();
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
        Some(Series {
            counter,
            reporter,
            cluster: label("cluster"),
            source: label("source_cluster"),
            destination: label("destination_cluster"),
            // Bytes are summed over all response flags.
            flags: match counter {
                Counter::Bytes => String::new(),
                Counter::Failures => label("response_flags"),
            },
        })
    }
}

impl Counters {
    pub fn add(&mut self, rows: impl IntoIterator<Item = Row>, new: First) -> Result<()> {
        let mut now = BTreeMap::<Series, f64>::new();
        for (mut labels, value) in rows {
            if let Some(series) = Series::of(&mut labels) {
                *now.entry(series).or_default() += value;
            }
        }
        for (series, value) in now {
            ensure!(
                self.seen.len() < MOST || self.seen.contains_key(&series),
                "the metrics have more than {MOST} pairs of clusters"
            );
            let begun = match new {
                First::Unknown => value,
                First::Growth => 0.0,
            };
            let (first, last) = self.seen.entry(series).or_insert((begun, value));
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
        let between = all.filter(|(series, ..)| between(&series.source, &series.destination));
        between.map(|(_, first, last)| last - first).sum()
    }

    /// The last sum of bytes that one end reports; None if there is no series.
    pub fn last(
        &self,
        cluster: &str,
        reporter: Reporter,
        between: impl Fn(&str, &str) -> bool,
    ) -> Option<f64> {
        let all = self.of(Counter::Bytes, cluster, reporter);
        all.filter(|(series, ..)| between(&series.source, &series.destination))
            .map(|(_, _, last)| last)
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
        let failed = failed.filter(|(series, first, last)| {
            between(&series.source, &series.destination) && last > first
        });
        let mut flags: Vec<_> = failed.map(|(series, ..)| series.flags.as_str()).collect();
        flags.sort_unstable();
        flags.dedup();
        flags
    }

    fn of(
        &self,
        counter: Counter,
        cluster: &str,
        reporter: Reporter,
    ) -> impl Iterator<Item = (&Series, f64, f64)> {
        let is = move |series: &Series| {
            series.counter == counter && series.cluster == cluster && series.reporter == reporter
        };
        let found = self.seen.iter().filter(move |(series, _)| is(series));
        found.map(|(series, (first, last))| (series, *first, *last))
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
