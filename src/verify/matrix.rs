//! The matrix: sends requests from all clusters at the same time, and follows each flow to Kiali's graph. Everything is
//! asked again and again, each on its own, so that what is slow or hangs keeps nothing else.

mod followed;
mod part;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;

use super::cell::judge;
use super::evidence::{Evidence, Sources};
use super::flow::Flow;
use super::report::{WaitReporter, report};
use super::{Finding, Hop};
use crate::k8s::Scope;
use crate::mesh::ClusterName;
use crate::progress::{ObjectId, Place};
use crate::run::Run;
use crate::steps::aggregate_metrics::Federation;
use followed::Followed;
use part::{PAUSE, Part, is_wanted, look, parts, take};

/// Follows these flows. Also returns findings about flows that hold.
pub async fn follow<'a>(
    run: &Run<'a>,
    pairs: Vec<(ClusterName, ClusterName)>,
    sources: &'a Sources<'a>,
    federation: Option<&'a Federation<'a>>,
    home: &'a Scope<'a>,
) -> (Vec<Flow>, Vec<Finding>) {
    let mut evidence = Evidence::new(sources);
    let mut cells = pairs.into_iter().map(Followed::new).collect::<Vec<_>>();
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

async fn watch(
    run: &Run<'_>,
    cells: &mut [Followed],
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

fn update(run: &Run<'_>, cells: &mut [Followed], evidence: &Evidence<'_>) {
    for cell in cells.iter_mut().filter(|cell| cell.done.is_none()) {
        cell.update(judge(evidence, &cell.from, &cell.to), evidence);
        if cell.is_done() {
            cell.end(run);
        } else {
            cell.show(run);
        }
    }
}

/// What is still waited for, as in "sending requests; 4 flows wait for metrics of 3, kiali of 1".
fn missing(cells: &[Followed]) -> String {
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
fn extra_edges(cells: &[Followed], evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut known = BTreeSet::new();
    let found = cells.iter().filter_map(|cell| {
        let in_metrics = evidence.in_metrics(&cell.from, &cell.to).extra_edge();
        let on_pages = || evidence.on_pages(&cell.from, &cell.to).extra_edge();
        let (code, text) = in_metrics.or_else(on_pages)?;
        // The same edge may be beside several flows.
        let is_new = known.insert((cell.from.clone(), text.clone()));
        is_new.then(|| Finding {
            code: Some(code),
            ..Finding::on(Hop::Flow, &cell.from, Ok(text))
        })
    });
    found.collect()
}
