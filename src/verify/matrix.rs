//! The matrix: sends requests from all clusters at the same time, and follows each flow to Kiali's graph. Everything is
//! asked again and again, each on its own, so that what is slow or hangs keeps nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{sleep, timeout};

use super::cell::{Judged, judge};
use super::counters::{Row, query};
use super::evidence::{Evidence, Metrics, Sources};
use super::flow::{Flow, FlowHop};
use super::pages::{self, Ztunnels};
use super::probe::Probe;
use super::report::{WaitReporter, report};
use super::requests::{self, Round};
use super::{Finding, Hop, Verdict};
use crate::k8s::Scope;
use crate::mesh::ClusterName;
use crate::progress::{HopProgress, ObjectId, Place};
use crate::run::Run;
use crate::steps::aggregate_metrics::Federation;
use crate::steps::kiali::{self, graph::Traffic};

const PAUSE: Duration = Duration::from_secs(1);
/// Limit for one answer of Kiali.
const ANSWER: Duration = Duration::from_secs(10);

/// Something that is asked again and again.
#[derive(Clone, Copy)]
enum Part<'a> {
    Requests(&'a ClusterName, &'a Probe<'a>),
    Pages(&'a ClusterName, &'a Ztunnels<'a>),
    Metrics(&'a Federation<'a>),
    Graph(&'a Scope<'a>),
}

enum Seen {
    Round(Round),
    Rows(Result<Vec<Row>>),
    Graph(Result<BTreeSet<Traffic>>),
    Nothing,
}

/// One flow while it is followed.
struct Cell {
    from: ClusterName,
    to: ClusterName,
    hops: Vec<FlowHop>,
    settled: Vec<bool>,
    /// How many hops are shown already.
    shown: usize,
    done: Option<Flow>,
}

/// Follows these flows. Also returns findings about flows that hold.
pub async fn follow<'a>(
    run: &Run<'a>,
    pairs: Vec<(ClusterName, ClusterName)>,
    sources: &'a Sources<'a>,
    federation: Option<&'a Federation<'a>>,
    home: &'a Scope<'a>,
) -> (Vec<Flow>, Vec<Finding>) {
    let mut evidence = Evidence::new(sources);
    let mut cells = pairs.into_iter().map(Cell::new).collect::<Vec<_>>();
    cells.iter().for_each(|cell| cell.begin(run));
    update(run, &mut cells, &evidence);
    let watched = watch(
        run,
        &mut cells,
        &mut evidence,
        parts(sources, federation, home),
    );
    let _ = timeout(sources.patience, watched).await;
    for cell in &mut cells {
        cell.end(run);
    }
    let findings = extra_edges(&cells, &evidence);
    findings.iter().for_each(|finding| report(run, finding));
    let flows = cells.into_iter().filter_map(|cell| cell.done);
    (flows.collect(), findings)
}

fn parts<'a>(
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

async fn watch(
    run: &Run<'_>,
    cells: &mut [Cell],
    evidence: &mut Evidence<'_>,
    parts: Vec<Part<'_>>,
) {
    let home = &run.mesh.home.name;
    let sources = evidence.sources;
    let service = sources.services.first();
    let service = service.map(|one| ObjectId::new("Service", &one.namespace, &one.name));
    let mut waits = service.map(|service| WaitReporter::of(run, Hop::Flow, home, service));
    let mut asked = FuturesUnordered::new();
    for part in parts {
        let is_wanted = is_wanted(&part, cells, evidence);
        asked.push(Box::pin(look(part, sources, is_wanted, Duration::ZERO)));
    }
    while cells.iter().any(|cell| cell.done.is_none()) {
        let Some((part, seen)) = asked.next().await else {
            return;
        };
        take(evidence, &part, seen);
        update(run, cells, evidence);
        if let Some(waits) = &mut waits {
            waits.update(missing(cells));
        }
        let is_wanted = is_wanted(&part, cells, evidence);
        asked.push(Box::pin(look(part, sources, is_wanted, PAUSE)));
    }
}

/// Asks one part, or only waits if nothing is wanted of it.
async fn look<'a>(
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
        Part::Pages(_, ztunnels) => Seen::Rows(pages::read(ztunnels, &sources.services).await),
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

fn take(evidence: &mut Evidence<'_>, part: &Part<'_>, seen: Seen) {
    match (part, seen) {
        (Part::Requests(from, _), Seen::Round(round)) => evidence.add_round(from, round),
        (Part::Pages(of, _), Seen::Rows(rows)) => evidence.add_pages(of, rows),
        (Part::Metrics(_), Seen::Rows(rows)) => evidence.add_metrics(rows),
        (_, Seen::Graph(graph)) => evidence.add_graph(graph),
        _ => {}
    }
}

/// Whether an answer of this part may change what is known of a flow.
fn is_wanted(part: &Part<'_>, cells: &[Cell], evidence: &Evidence<'_>) -> bool {
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

fn update(run: &Run<'_>, cells: &mut [Cell], evidence: &Evidence<'_>) {
    for cell in cells.iter_mut().filter(|cell| cell.done.is_none()) {
        cell.update(judge(evidence, &cell.from, &cell.to), evidence);
        if cell.is_done() {
            cell.end(run);
        } else {
            cell.show(run);
        }
    }
}

/// What is still waited for, as in "waiting for metrics of 3 flows, kiali of 1".
fn missing(cells: &[Cell]) -> String {
    let open = || cells.iter().filter(|cell| cell.done.is_none());
    let of = |place: Place| {
        let count = open().filter(|cell| cell.next() == Some(place)).count();
        (count > 0).then(|| format!("{} of {count}", place.title()))
    };
    let waits = Place::ALL.into_iter().filter_map(of).collect::<Vec<_>>();
    format!(
        "sending requests; {} flows wait for {}",
        open().count(),
        waits.join(", ")
    )
}

/// A finding for each extra edge that Kiali draws beside a flow.
fn extra_edges(cells: &[Cell], evidence: &Evidence<'_>) -> Vec<Finding> {
    let found = cells.iter().filter_map(|cell| {
        let in_metrics = evidence.in_metrics(&cell.from, &cell.to).extra_edge();
        let on_pages = || evidence.on_pages(&cell.from, &cell.to).extra_edge();
        let (code, text) = in_metrics.or_else(on_pages)?;
        Some(Finding {
            code: Some(code),
            ..Finding::on(Hop::Flow, &cell.from, Ok(text))
        })
    });
    found.collect()
}

impl Cell {
    fn new((from, to): (ClusterName, ClusterName)) -> Cell {
        Cell {
            from,
            to,
            hops: Vec::new(),
            settled: Vec::new(),
            shown: 0,
            done: None,
        }
    }

    fn update(&mut self, judged: Vec<Judged>, evidence: &Evidence<'_>) {
        let seconds = evidence.begun.elapsed().as_secs_f64();
        let before = std::mem::take(&mut self.hops);
        let mut before = before.into_iter();
        self.settled.clear();
        for judged in judged {
            let before = before.next().filter(|hop| hop.verdict == Verdict::Holds);
            let (hop, settled) = match before {
                // Counters may begin anew, which takes back nothing.
                Some(before) if judged.place != Place::Requests && !holds(&judged) => {
                    (before, true)
                }
                before => {
                    let first = before.and_then(|before| before.seconds);
                    let seconds = holds(&judged).then(|| first.unwrap_or(seconds));
                    let settled = judged.settled;
                    (hop_of(judged, seconds), settled)
                }
            };
            self.hops.push(hop);
            self.settled.push(settled);
        }
    }

    fn waits_for(&self, place: Place) -> bool {
        let mut hops = self.hops.iter().zip(&self.settled);
        hops.any(|(hop, settled)| hop.hop == place && !settled)
    }

    /// The first hop that is waited for.
    fn next(&self) -> Option<Place> {
        Place::ALL.into_iter().find(|place| self.waits_for(*place))
    }

    /// After a hop that is broken for good, nothing can hold.
    fn is_done(&self) -> bool {
        let mut hops = self.hops.iter().zip(&self.settled);
        let is_broken = hops.any(|(hop, settled)| *settled && hop.verdict == Verdict::Broken);
        is_broken || self.settled.iter().all(|settled| *settled)
    }

    fn progress(&self, run: &Run<'_>) -> HopProgress {
        run.events.of_hop(Hop::Flow, &self.from)
    }

    fn begin(&self, run: &Run<'_>) {
        let first = Place::Requests;
        self.progress(run).flow(&self.to, None, Some(first), "");
    }

    /// Shows the hops that hold since the last time.
    fn show(&mut self, run: &Run<'_>) {
        let held = self.hops.iter().filter(|hop| hop.verdict == Verdict::Holds);
        let held = held.map(|hop| hop.hop.title()).collect::<Vec<_>>();
        if held.len() > self.shown {
            let text = held.join(", ");
            self.progress(run).flow(&self.to, None, self.next(), &text);
            self.shown = held.len();
        }
    }

    fn end(&mut self, run: &Run<'_>) {
        if self.done.is_some() {
            return;
        }
        let hops = std::mem::take(&mut self.hops);
        let flow = Flow::new(self.from.clone(), self.to.clone(), hops);
        let failing = flow.failing();
        let text = match failing {
            Some(hop) => format!("{}: {}", hop.hop.title(), hop.message),
            None => String::new(),
        };
        let (verdict, place) = (Some(flow.verdict), failing.map(|hop| hop.hop));
        self.progress(run).flow(&self.to, verdict, place, &text);
        self.done = Some(flow);
    }
}

fn holds(judged: &Judged) -> bool {
    judged.verdict == Verdict::Holds
}

fn hop_of(judged: Judged, seconds: Option<f64>) -> FlowHop {
    let unit = match judged.place {
        Place::Requests => "requests",
        _ => "bytes",
    };
    FlowHop {
        hop: judged.place,
        verdict: judged.verdict,
        message: judged.text,
        unit: judged.count.map(|_| unit),
        count: judged.count,
        seconds,
    }
}
