//! Which flows are tried, and what they are looked for in.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;

use super::evidence::{Metrics, Sources};
use super::flow::{Flow, Pairs};
use super::probe::Probes;
use super::{Finding, Hop, matrix, pages, store};
use crate::guide::Step;
use crate::mesh::ClusterName;
use crate::run::Run;
use crate::steps::aggregate_metrics::Federation;
use crate::steps::kiali::graph;

/// How long one scrape by a cluster's own Prometheus and two by the federating one may take after three intervals, and
/// then Kiali.
const FEDERATED: Duration = Duration::from_secs(45);
/// A scrape, a batch, the time for which a store hides new samples, and the minute of Kiali's graph.
const STORED: Duration = Duration::from_secs(120);
/// The deadline of the command must not end a request, which would count as one that failed.
const BEFORE_END: Duration = Duration::from_secs(2);
/// How many intervals the receiver's metrics may lag behind the sender's after a failure.
const OTHER_END: u32 = 2;

/// Returns the flows, and findings about those that hold. `known` gets the findings of the other hops.
pub async fn flows(
    run: &Run<'_>,
    probes: Probes<'_>,
    federation: Option<&Result<Federation<'_>>>,
    expected: &[ClusterName],
    pairs: Pairs,
    known: &OnceLock<Vec<Finding>>,
) -> (Vec<Flow>, Vec<Finding>) {
    let progress = run.events.of_hop(Hop::Flow, &run.mesh.home.name);
    progress.started();
    let clients = probes.values().filter_map(|ends| ends.client.as_ref().ok());
    let ztunnels = pages::find(run, &probes).await;
    let interval = run.settings.metrics.interval;
    let sources = Sources {
        clusters: expected,
        services: clients.map(|probe| probe.service.clone()).collect(),
        probes: &probes,
        ztunnels: &ztunnels,
        metrics: metrics(run, federation),
        without_graph: run.settings.login.as_ref().map(|login| {
            let issuer = &login.issuer;
            format!("Kiali shows its graph only after a login at {issuer}")
        }),
        known,
        patience: patience(run),
        lag: interval.times(OTHER_END),
    };
    let home = run.on(Step::Kiali, &run.mesh.home);
    let federation = federation.and_then(|found| found.as_ref().ok());
    let followed = matrix::follow(run, pairs.of(expected), &sources, federation, &home).await;
    progress.ended();
    followed
}

fn metrics(run: &Run<'_>, federation: Option<&Result<Federation<'_>>>) -> Metrics {
    match (&run.settings.store, federation) {
        (Some(store), _) => Metrics::Store(store::silent(store)),
        (None, Some(Err(error))) => Metrics::Nothing(format!("{error:#}")),
        (None, _) => Metrics::Federation,
    }
}

fn patience(run: &Run<'_>) -> Duration {
    let interval = run.settings.metrics.interval;
    let patience = match run.settings.store {
        Some(_) => STORED.max(graph::window(interval) + Duration::from_secs(60)),
        None => interval.times(3) + FEDERATED,
    };
    patience.min(run.deadline.left().saturating_sub(BEFORE_END))
}
