//! `install`: the order of the guide and what may run at once, nothing else. The metrics and Kiali
//! are two branches that meet where a remote is given to Kiali.

mod metrics;
mod view;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::sync::oneshot;

use crate::guide::Step;
use crate::k8s::apply::Before;
use crate::k8s::record;
use crate::mesh::Cluster;
use crate::planned::planned;
use crate::run::{Run, step};
use crate::steps::namespaces;

/// A cluster that takes part, and whether an install begins or goes on there.
#[derive(Clone, Copy)]
struct Part<'a> {
    cluster: &'a Cluster,
    before: Before,
}

pub async fn install(run: &Run<'_>) -> Result<()> {
    let taking_part = run.mesh.all().filter(|c| !run.left_out.has(&c.name));
    let prepared = taking_part.map(|cluster| run.unless_left_out(cluster, part(run, cluster)));
    let parts = try_join_all(prepared).await?;
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    let (home, remotes) = parts.split_first().context("home takes part")?;
    let home_scope = run.on(Step::Namespace, home.cluster);
    if !run.left_out.is_empty() {
        home_scope
            .record
            .go_on_with(remotes.iter().map(|p| p.cluster));
    }
    record::choose(&home_scope, run.options).await?;
    let (scraping, scraped) = oneshot::channel();
    let (proven, accesses): (Vec<_>, Vec<_>) = remotes.iter().map(|_| oneshot::channel()).unzip();
    let proving = remotes.iter().zip(proven).map(|(remote, proven)| {
        run.unless_left_out(remote.cluster, view::remote_cluster(run, remote, proven))
    });
    tokio::try_join!(
        metrics::metrics(run, &parts, scraping),
        try_join_all(proving),
        view::kiali(run, home, scraped, accesses),
    )?;
    let recorded = parts.iter().map(|part| {
        let scope = run.on(Step::Namespace, part.cluster);
        run.unless_left_out(part.cluster, async move { record::finish(&scope).await })
    });
    try_join_all(recorded).await?;
    Ok(())
}

async fn part<'a>(run: &Run<'a>, cluster: &'a Cluster) -> Result<Part<'a>> {
    let before = step(run, Step::Namespace, cluster, async |scope| {
        namespaces::install(&scope).await
    })
    .await?;
    let planned = planned(run, cluster)?;
    let record = run.on(Step::Namespace, cluster).record;
    record.plan(planned.iter().map(|(_, object)| object));
    Ok(Part { cluster, before })
}
