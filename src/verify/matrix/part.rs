//! What is asked again and again while the flows are followed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::followed::Followed;
use crate::k8s::Scope;
use crate::mesh::ClusterName;
use crate::progress::Place;
use crate::steps::aggregate_metrics::Federation;
use crate::steps::kiali::{self, graph::Traffic};
use crate::verify::counters::{Row, query};
use crate::verify::evidence::{Evidence, Metrics, Pages, Sources};
use crate::verify::pages::{self, Ztunnels};
use crate::verify::probe::Probe;
use crate::verify::requests::{self, Round};

pub const PAUSE: Duration = Duration::from_secs(1);
/// Limit for one answer of Kiali.
const ANSWER: Duration = Duration::from_secs(10);

/// Something that is asked again and again.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Requests(&'a ClusterName, &'a Probe<'a>),
    Pages(&'a ClusterName, &'a Ztunnels<'a>),
    Metrics(&'a Federation<'a>),
    Graph(&'a Scope<'a>),
}

pub(super) enum Seen {
    Round(Round),
    Pages(Pages),
    Rows(Result<Vec<Row>>),
    Graph(Result<BTreeSet<Traffic>>),
    Nothing,
}

pub(super) fn parts<'a>(
    sources: &'a Sources<'a>,
    federation: Option<&'a Federation<'a>>,
    home: &'a Scope<'a>,
) -> Vec<Part<'a>> {
    let senders = sources.probes.iter().filter_map(|(name, ends)| {
        let probe = ends.client.as_ref().ok()?;
        Some(Part::Requests(name, probe))
    });
    let pages = sources.ztunnels.iter();
    let pages = pages.filter_map(|(name, found)| Some(Part::Pages(name, found.as_ref().ok()?)));
    let metrics = federation.map(Part::Metrics);
    let graph = sources.without_graph.is_none().then_some(Part::Graph(home));
    senders.chain(pages).chain(metrics).chain(graph).collect()
}

/// Asks one part, or only waits if nothing is wanted of it.
pub(super) async fn look<'a>(
    part: Part<'a>,
    sources: &Sources<'_>,
    is_wanted: bool,
    pause: Duration,
) -> (Part<'a>, Seen) {
    sleep(if is_wanted { pause } else { PAUSE }).await;
    let seen = match part {
        _ if !is_wanted => Seen::Nothing,
        // As many as there are clusters, so that each one answers as often however many there are.
        Part::Requests(_, probe) => {
            Seen::Round(requests::send(probe, sources.clusters.len()).await)
        }
        Part::Pages(_, ztunnels) => Seen::Pages(Pages {
            began: Instant::now(),
            rows: pages::read(ztunnels, &sources.services).await,
            ended: Instant::now(),
        }),
        Part::Metrics(federation) => Seen::Rows(rows(federation, sources).await),
        Part::Graph(home) => Seen::Graph(graph(home, sources).await),
    };
    (part, seen)
}

async fn rows(federation: &Federation<'_>, sources: &Sources<'_>) -> Result<Vec<Row>> {
    let samples = federation.samples(&query(&sources.services)).await?;
    let rows = samples.into_iter().filter_map(|sample| {
        let count = sample.count()?;
        Some((sample.metric, count))
    });
    Ok(rows.collect())
}

async fn graph(home: &Scope<'_>, sources: &Sources<'_>) -> Result<BTreeSet<Traffic>> {
    let target = kiali::target(home).await?;
    let target = target.context("no pod of Kiali is ready")?;
    let namespaces = sources.services.iter().map(|one| one.namespace.as_str());
    kiali::graph::traffic(home, &target, &namespaces.collect(), ANSWER).await
}

pub(super) fn take(evidence: &mut Evidence<'_>, part: &Part<'_>, seen: Seen) {
    match (part, seen) {
        (Part::Requests(from, _), Seen::Round(round)) => evidence.add_round(from, round),
        (Part::Pages(of, _), Seen::Pages(pages)) => evidence.add_pages(of, pages),
        (Part::Metrics(_), Seen::Rows(rows)) => evidence.add_metrics(rows),
        (_, Seen::Graph(graph)) => evidence.add_graph(graph),
        _ => {}
    }
}

/// Whether an answer of this part may change what is known of a flow.
pub(super) fn is_wanted(part: &Part<'_>, cells: &[Followed], evidence: &Evidence<'_>) -> bool {
    let mut open = cells.iter().filter(|cell| cell.done.is_none());
    match *part {
        Part::Requests(from, _) => open.any(|cell| cell.from == *from),
        Part::Pages(of, _) => open.any(|cell| {
            let first = [Place::Requests, Place::Source, Place::Destination];
            let is_open = first.into_iter().any(|place| cell.waits_for(place));
            is_open && (cell.from == *of || cell.to == *of)
        }),
        Part::Metrics(_) => open.any(|cell| cell.waits_for(Place::Metrics)),
        Part::Graph(_) => {
            let is_federated = matches!(evidence.sources.metrics, Metrics::Federation);
            open.any(|cell| {
                // Kiali reads the same metrics, and making a graph takes it some time.
                let is_due = !is_federated || !cell.waits_for(Place::Metrics);
                is_due && cell.waits_for(Place::Kiali)
            })
        }
    }
}
