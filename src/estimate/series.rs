//! What the Prometheus of a cluster tells about its own series.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

use crate::k8s::forward::Connection;
use crate::metrics::Profile;
use crate::prometheus::{self, Sample};

/// How many series of each metric are looked at for their labels.
const SAMPLES: usize = 10;
const FEW: usize = 2;
/// A pull that is timed brings at most this many series, so that it costs the server no more than a scrape.
const TIMED: u64 = 20_000;
/// How often it is timed. The median counts.
const TIMES: usize = 3;
/// No Prometheus has as many series of one metric.
const MOST: f64 = 1e9;
const READY: &str = "/-/ready";

/// The series of a profile.
#[derive(Debug, Default, PartialEq)]
pub struct Edge {
    /// How many series each metric has, and how long a line of one is on average, in bytes.
    pub metrics: BTreeMap<String, Metric>,
    /// Labels of the series with the most, its name included.
    pub widest: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub series: u64,
    pub line: f64,
    /// Selects what was counted.
    selector: String,
}

/// What a pull costs for each series, measured with a part of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    pub time: Duration,
    pub compressed: f64,
}

impl Edge {
    pub async fn read(connection: &mut Connection, profile: Profile) -> Result<Edge> {
        let mut edge = Edge::default();
        for selector in profile.selectors() {
            // Few of the many names of the guide's selection, so that the answer stays small.
            let samples = if profile == Profile::Guide {
                FEW
            } else {
                SAMPLES
            };
            let counts = format!("count by (__name__) ({selector})");
            let counts = prometheus::query(connection, &counts).await?;
            // Any of them would do, but only this function keeps the labels.
            let some = format!("topk by (__name__) ({samples}, {selector})");
            let some = prometheus::query(connection, &some).await?;
            edge.add(&selector, &counts, &some)?;
        }
        Ok(edge)
    }

    fn add(&mut self, selector: &str, counts: &[Sample], some: &[Sample]) -> Result<()> {
        let mut lines = BTreeMap::<&str, Vec<usize>>::new();
        for sample in some {
            let Some(name) = sample.name() else { continue };
            lines.entry(name).or_default().push(sample.line());
            self.widest = self.widest.max(sample.metric.len());
        }
        for count in counts {
            // Others choose the names, and one of them goes into a selector.
            let name = count.name().filter(|name| prometheus::is_name(name));
            let series = count.count().filter(|series| *series <= MOST);
            let (Some(name), Some(series)) = (name, series) else {
                bail!(
                    "its answer to count by (__name__) has a name or a number that cannot be one"
                );
            };
            let lines = lines.get(name).map_or(&[][..], Vec::as_slice);
            let line = lines.iter().sum::<usize>() as f64 / lines.len().max(1) as f64;
            let series = series as u64;
            let selector = format!("{{__name__=\"{name}\",{}", selector.trim_start_matches('{'));
            let metric = Metric {
                series,
                line,
                selector,
            };
            self.metrics.insert(name.into(), metric);
        }
        Ok(())
    }

    pub fn series(&self) -> u64 {
        self.metrics.values().map(|metric| metric.series).sum()
    }

    /// Bytes of a pull before compression.
    pub fn bytes(&self) -> f64 {
        let bytes = self
            .metrics
            .values()
            .map(|metric| metric.series as f64 * metric.line);
        bytes.sum()
    }

    /// The metric with the most series that may be timed, else the one with the fewest.
    fn timed(&self) -> Option<(&str, u64)> {
        let all = || {
            let metrics = self.metrics.values();
            metrics.map(|metric| (metric.selector.as_str(), metric.series))
        };
        let small = all().filter(|(_, series)| *series <= TIMED);
        small
            .max_by_key(|(_, series)| *series)
            .or_else(|| all().min_by_key(|(_, series)| *series))
    }
}

/// Times a pull of all series if they are few, else of one metric. None if there is no series.
pub async fn speed(
    connection: &mut Connection,
    profile: Profile,
    edge: &Edge,
) -> Result<Option<Speed>> {
    let (selectors, series) = match (edge.series(), edge.timed()) {
        (0, _) | (_, None) => return Ok(None),
        (series @ ..=TIMED, _) => (profile.selectors(), series),
        (_, Some((selector, series))) => (vec![selector.into()], series),
    };
    let path = prometheus::federate(&selectors);
    let mut timed = Vec::new();
    for _ in 0..TIMES {
        let idle = took(connection, READY).await?.0;
        let (time, bytes) = took(connection, &path).await?;
        timed.push((time.saturating_sub(idle), bytes));
    }
    timed.sort_unstable();
    let (time, bytes) = timed[TIMES / 2];
    Ok(Some(Speed {
        time: time.div_f64(series.max(1) as f64),
        compressed: bytes as f64 / series.max(1) as f64,
    }))
}

async fn took(connection: &mut Connection, path: &str) -> Result<(Duration, u64)> {
    let start = Instant::now();
    let bytes = connection.size(path).await?;
    Ok((start.elapsed(), bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn samples(all: &[(&str, &str, &str)]) -> Vec<Sample> {
        let sample = |(name, pod, value): &(&str, &str, &str)| {
            let labels = match *pod {
                "" => json!({"__name__": name}),
                pod => json!({"__name__": name, "pod": pod}),
            };
            serde_json::from_value(json!({"metric": labels, "value": [0, value]})).unwrap()
        };
        all.iter().map(sample).collect()
    }

    fn edge() -> Edge {
        let counts = samples(&[("a", "", "3"), ("b", "", "50000")]);
        let some = samples(&[("a", "p", "1"), ("a", "pod", "1"), ("b", "p", "1")]);
        let mut edge = Edge::default();
        edge.add("{job=\"j\"}", &counts, &some).unwrap();
        edge
    }

    #[test]
    fn a_pull_has_the_lines_of_all_metrics() {
        let edge = edge();
        // a{pod="p"} 1 1767225600123, and b with the same labels.
        let line = 27.0;
        assert_eq!(edge.metrics["a"].line, line + 1.0);
        assert_eq!(edge.metrics["b"].line, line);
        assert_eq!(edge.series(), 50_003);
        assert_eq!(edge.bytes(), 3.0 * (line + 1.0) + 50_000.0 * line);
        assert_eq!(edge.widest, 2);
    }

    #[test]
    fn what_cannot_be_a_count_is_refused() {
        for (name, value) in [
            ("a", "NaN"),
            ("a", "-5"),
            ("a", "1e308"),
            ("a", "x"),
            ("d\"}", "1"),
        ] {
            let counts = samples(&[(name, "", value)]);
            let refused = Edge::default().add("{}", &counts, &[]);
            assert!(refused.is_err(), "{name} {value}");
        }
    }

    #[test]
    fn the_largest_metric_that_is_not_too_large_is_timed() {
        let mut edge = edge();
        assert_eq!(edge.timed(), Some(("{__name__=\"a\",job=\"j\"}", 3)));
        edge.metrics.remove("a");
        assert_eq!(edge.timed(), Some(("{__name__=\"b\",job=\"j\"}", 50_000)));
        edge.metrics.remove("b");
        assert_eq!(edge.timed(), None);
    }
}
