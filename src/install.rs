//! `install`, in the order of the guide. First everything is asked for that needs nothing else, in all clusters at
//! once; then what comes of it is waited for and handed on; at the end the view is proven.

mod metrics;
mod view;

use anyhow::{Context, Result};
use futures::future::try_join_all;

use crate::guide::Step;
use crate::k8s::apply::{Before, Outcome};
use crate::k8s::record;
use crate::mesh::Cluster;
use crate::mutual_tls::Certificates;
use crate::planned::planned;
use crate::run::{Run, step};
use crate::steps::{namespaces, probes};

/// A cluster that takes part, and whether an install begins or goes on there.
#[derive(Clone, Copy)]
struct Part<'a> {
    cluster: &'a Cluster,
    before: Before,
}

pub async fn install(run: &Run<'_>) -> Result<()> {
    let taking_part = run.mesh.all().filter(|c| !run.left_out.has(&c.name));
    let parts = all(taking_part.map(|c| run.unless_left_out(c, part(run, c)))).await?;
    let (home, remotes) = parts.split_first().context("home takes part")?;
    remember(run, home, remotes).await?;
    let mut seen = run.seen.to_vec();
    let certificates = metrics::certificates(run, &parts, &mut seen).await?;
    let certificates = certificates.as_ref();
    let run = &Run {
        seen: &seen,
        ..run.clone()
    };
    let moves = view::moves(run, home).await?;
    if moves && !run.choices.dry_run {
        metrics::ahead(run, &parts, certificates).await?;
    }
    // One that failed ahead is not asked again.
    let still_takes_part = |part: &&Part<'_>| !run.left_out.has(&part.cluster.name);
    let remotes = remotes.iter().filter(still_takes_part).copied();
    let remotes = &remotes.collect::<Vec<_>>()[..];
    let asked = ask(run, home, remotes, certificates, moves).await?;
    let (arranged, given, cut_off) = hand_on(run, home, &asked, certificates).await?;
    let scraped = async {
        metrics::scraped(run, &parts, &arranged).await?;
        match moves {
            // Kiali does not query it yet.
            true => Ok(()),
            false => metrics::discard(run, &parts).await,
        }
    };
    tokio::try_join!(
        scraped,
        view::serving(run, home, &asked.kiali, given, cut_off),
    )?;
    metrics::retire(run, &parts, moves).await?;
    let retired = asked
        .opening
        .iter()
        .map(|remote| run.unless_left_out(remote.cluster, view::retire_tokens(run, remote)));
    all(retired).await?;
    let recorded = parts.iter().map(|part| {
        let scope = run.on(Step::Namespace, part.cluster);
        run.unless_left_out(part.cluster, async move { record::finish(&scope).await })
    });
    all(recorded).await?;
    Ok(())
}

/// What was asked for in all clusters, and is being created there.
struct Asked<'a> {
    exposing: Vec<metrics::Exposing<'a>>,
    opening: Vec<view::Opening<'a>>,
    kiali: view::AskedKiali,
}

/// Applies everything that needs nothing else, in all clusters at once.
async fn ask<'a>(
    run: &Run<'a>,
    home: &Part<'a>,
    remotes: &[Part<'a>],
    certificates: Option<&Certificates>,
    moves: bool,
) -> Result<Asked<'a>> {
    let in_use = view::in_use(run, home, remotes).await?;
    let exposing = std::iter::once(home).chain(remotes).map(|part| {
        run.unless_left_out(part.cluster, metrics::ask(run, part, certificates, moves))
    });
    let opening = remotes.iter().map(|part| {
        run.unless_left_out(part.cluster, view::ask_remote(run, part, in_use.as_ref()))
    });
    let (exposing, opening, kiali) =
        tokio::try_join!(all(exposing), all(opening), view::ask_kiali(run, home))?;
    Ok(Asked {
        exposing,
        opening,
        kiali,
    })
}

/// Waits for what was asked for: home scrapes the clusters once each has an address, and Kiali gets its remotes once
/// each is proven. Returns what was written for the metrics, what Kiali got, and whether it lacked rights for a while.
async fn hand_on(
    run: &Run<'_>,
    home: &Part<'_>,
    asked: &Asked<'_>,
    certificates: Option<&Certificates>,
) -> Result<(metrics::Arranged, view::Given, bool)> {
    let ready = async {
        let proven = asked
            .opening
            .iter()
            .map(|remote| run.unless_left_out(remote.cluster, view::access(run, remote)));
        let arranged = metrics::arrange(run, home, &asked.exposing, certificates);
        tokio::try_join!(arranged, all(proven))
    };
    let settled = asked
        .opening
        .iter()
        .map(|remote| run.unless_left_out(remote.cluster, view::settled(run, remote)));
    let made = view::made(run, home, &asked.kiali);
    if asked.kiali.kiali.cr.outcome == Outcome::Created {
        let given = async {
            let (arranged, accesses) = ready.await?;
            anyhow::Ok((arranged, view::give(run, home, accesses).await?))
        };
        let ((arranged, given), cut_off, _) = tokio::try_join!(given, made, all(settled))?;
        return Ok((arranged, given, cut_off));
    }
    // Over a Kiali that exists already, the operator's run restores what it read at its start: a roll-out with new
    // remotes in the middle of it would be lost.
    let ((arranged, accesses), cut_off, _) = tokio::try_join!(ready, made, all(settled))?;
    let given = view::give(run, home, accesses).await?;
    Ok((arranged, given, cut_off))
}

/// The results of all clusters but those that were left out.
async fn all<T>(
    work: impl Iterator<Item = impl Future<Output = Result<Option<T>>>>,
) -> Result<Vec<T>> {
    let results = try_join_all(work).await?;
    Ok(results.into_iter().flatten().collect())
}

/// Writes the options and the clusters of this install into home's record.
async fn remember(run: &Run<'_>, home: &Part<'_>, remotes: &[Part<'_>]) -> Result<()> {
    let scope = run.on(Step::Namespace, home.cluster);
    if !run.left_out.is_empty() {
        scope.record.go_on_with(remotes.iter().map(|p| p.cluster));
    }
    record::choose(&scope, run.options).await
}

async fn part<'a>(run: &Run<'a>, cluster: &'a Cluster) -> Result<Part<'a>> {
    let before = step(run, Step::Namespace, cluster, async |scope| {
        namespaces::install(&scope).await
    })
    .await?;
    if probes::are_recorded(&run.on(Step::Probes, cluster))? {
        step(run, Step::Probes, cluster, async |scope| {
            probes::remove_left(&scope).await
        })
        .await?;
    }
    let planned = planned(run, cluster)?;
    let record = run.on(Step::Namespace, cluster).record;
    record.plan(planned.iter().map(|(_, object)| object));
    Ok(Part { cluster, before })
}
