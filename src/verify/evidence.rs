//! All that was seen of the flows until now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::counters::{Counters, First, Row};
use super::edges::Edge;
use super::pages::Ztunnels;
use super::probe::{Probes, Service};
use super::requests::{Requests, Round, cluster};
use super::{Finding, Hop, Verdict};
use crate::mesh::ClusterName;
use crate::steps::kiali::graph::Traffic;

/// How often in a row something may be unreadable before it is given up.
const TRIES: usize = 3;

/// What the flows are looked for in, and what is known of them before the first request.
pub struct Sources<'a> {
    pub clusters: &'a [ClusterName],
    pub probes: &'a Probes<'a>,
    pub services: BTreeSet<Service>,
    pub ztunnels: &'a BTreeMap<ClusterName, Result<Ztunnels<'a>, String>>,
    pub metrics: Metrics,
    /// Why Kiali's graph is not asked for.
    pub without_graph: Option<String>,
    /// The findings of the other hops, as soon as they are known.
    pub known: &'a OnceLock<Vec<Finding>>,
    /// How long a flow is looked for.
    pub patience: Duration,
    /// How long the receiver's metrics may lag behind the sender's.
    pub lag: Duration,
}

/// Where Kiali's metrics come from.
pub enum Metrics {
    Federation,
    /// There is no federating Prometheus to ask, for this reason.
    Nothing(String),
    /// The store of the user, which only Kiali can ask. What may keep traffic out of it.
    Store(String),
}

/// How often in a row something could not be read, and why.
#[derive(Default)]
pub struct Reading {
    pub reads: usize,
    failed: usize,
    pub error: Option<String>,
    /// When the first read ended, and when the last one began that read something.
    span: Option<(Instant, Instant)>,
}

/// What one read of a cluster's pages found.
pub struct Pages {
    pub began: Instant,
    pub ended: Instant,
    pub rows: Result<Vec<Row>>,
}

pub struct Evidence<'a> {
    pub sources: &'a Sources<'a>,
    pub begun: Instant,
    pub requests: BTreeMap<ClusterName, Requests>,
    pub pages: Counters,
    pub page_reads: BTreeMap<ClusterName, Reading>,
    pub metrics: Counters,
    pub metrics_reads: Reading,
    pub graph: BTreeSet<Traffic>,
    pub graph_reads: Reading,
}

impl Reading {
    /// Notes whether a read succeeded, and returns what it read.
    fn note<T>(&mut self, read: Result<T>) -> Option<T> {
        match read {
            Ok(read) => {
                self.reads += 1;
                (self.failed, self.error) = (0, None);
                Some(read)
            }
            Err(error) => {
                self.failed += 1;
                self.error = Some(format!("{error:#}"));
                None
            }
        }
    }

    pub fn is_given_up(&self) -> bool {
        self.failed >= TRIES
    }

    /// Returns whether something was read.
    fn add(&mut self, counters: &mut Counters, rows: Result<Vec<Row>>, later: First) -> bool {
        let new = match self.reads {
            0 => First::Unknown,
            _ => later,
        };
        let added = rows.and_then(|rows| counters.add(rows, new));
        self.note(added).is_some()
    }
}

impl<'a> Evidence<'a> {
    pub fn new(sources: &'a Sources<'a>) -> Evidence<'a> {
        Evidence {
            sources,
            begun: Instant::now(),
            requests: BTreeMap::new(),
            pages: Counters::default(),
            page_reads: BTreeMap::new(),
            metrics: Counters::default(),
            metrics_reads: Reading::default(),
            graph: BTreeSet::new(),
            graph_reads: Reading::default(),
        }
    }

    pub fn add_round(&mut self, from: &ClusterName, round: Round) {
        let ends = self.sources.probes.get(from);
        if let Some(Ok(probe)) = ends.map(|ends| &ends.client) {
            let requests = self.requests.entry(from.clone()).or_default();
            let probes = self.sources.probes;
            requests.add(round, |answer| cluster(answer, probe, probes));
        }
    }

    /// A ztunnel that has no series of a flow on one page and then has one counted it in between.
    pub fn add_pages(&mut self, of: &ClusterName, pages: Pages) {
        let Pages { began, ended, rows } = pages;
        let reading = self.page_reads.entry(of.clone()).or_default();
        if reading.add(&mut self.pages, rows, First::Growth) {
            let first = reading.span.map_or(ended, |(first, _)| first);
            reading.span = Some((first, began));
        }
    }

    /// Whether the pages of a cluster would show the flow: they were read before and after a round that was answered. A
    /// machine or a network may be so slow that there is none.
    pub fn pages_would_show(&self, of: &ClusterName, from: &ClusterName, to: &ClusterName) -> bool {
        let span = self.page_reads.get(of).and_then(|reading| reading.span);
        let requests = self.requests.get(from);
        let (Some((first, last)), Some(requests)) = (span, requests) else {
            return false;
        };
        // Which answers an unreached cluster gave is not known.
        !self.is_reached(to) || requests.answered_between(to, first, last)
    }

    pub fn add_metrics(&mut self, rows: Result<Vec<Row>>) {
        self.metrics_reads
            .add(&mut self.metrics, rows, First::Unknown);
    }

    pub fn add_graph(&mut self, traffic: Result<BTreeSet<Traffic>>) {
        self.graph
            .extend(self.graph_reads.note(traffic).unwrap_or_default());
    }

    /// The flow as the ztunnels' own pages have it.
    pub fn on_pages<'b>(&'b self, from: &'b ClusterName, to: &'b ClusterName) -> Edge<'b> {
        edge(from, to, &self.pages)
    }

    /// The flow as the federating Prometheus has it.
    pub fn in_metrics<'b>(&'b self, from: &'b ClusterName, to: &'b ClusterName) -> Edge<'b> {
        edge(from, to, &self.metrics)
    }

    /// Whether a cluster denies connections of another, as far as either source tells.
    pub fn is_denied(&self, from: &ClusterName, to: &ClusterName) -> bool {
        self.on_pages(from, to).is_denied() || self.in_metrics(from, to).is_denied()
    }

    /// Why connections fail, as far as either source tells.
    pub fn cause(&self, from: &ClusterName, to: &ClusterName) -> Option<String> {
        let on_pages = self.on_pages(from, to);
        let in_metrics = self.in_metrics(from, to);
        on_pages.cause().or_else(|| in_metrics.cause())
    }

    pub fn is_in_graph(&self, from: &ClusterName, to: &ClusterName) -> bool {
        let services = &self.sources.services;
        let is_ours = |traffic: &Traffic| {
            let (namespace, name) = &traffic.service;
            let is = |service: &Service| service.name == *name && service.namespace == *namespace;
            traffic.from == from.as_str() && traffic.to == to.as_str() && services.iter().any(is)
        };
        self.graph.iter().any(is_ours)
    }

    /// Whether another hop of `verify` is known to be broken, on a cluster.
    pub fn is_broken(&self, hop: Hop, cluster: &ClusterName) -> bool {
        let known = self.sources.known.get().into_iter().flatten();
        let mut known = known.filter(|one| one.hop == hop && one.verdict == Verdict::Broken);
        known.any(|one| one.cluster.as_ref() == Some(cluster))
    }

    pub fn is_reached(&self, cluster: &ClusterName) -> bool {
        self.sources.probes.contains_key(cluster)
    }
}

fn edge<'b>(from: &'b ClusterName, to: &'b ClusterName, counters: &'b Counters) -> Edge<'b> {
    Edge {
        from: from.as_str(),
        to: to.as_str(),
        counters,
    }
}
