//! The branch of the metrics: a Prometheus in each cluster, exposed, and one over them.

use anyhow::Result;
use futures::future::try_join_all;
use serde_json::Value;
use tokio::sync::oneshot;

use super::Part;
use crate::guide::Step;
use crate::k8s::Scope;
use crate::mesh::Cluster;
use crate::run::{Run, step};
use crate::steps::{ScrapeTarget, aggregate_metrics, cluster_prometheus, expose_prometheus};

/// A Prometheus in each cluster, exposed, and one on home that scrapes them all.
pub async fn metrics(
    run: &Run<'_>,
    parts: &[Part<'_>],
    scraping: oneshot::Sender<()>,
) -> Result<()> {
    let exposed = parts
        .iter()
        .map(|part| run.unless_left_out(part.cluster, expose(run, part)));
    let targets = try_join_all(exposed).await?;
    let targets = targets.into_iter().flatten().collect::<Vec<_>>();
    let written = step(run, Step::AggregateMetrics, &run.mesh.home, async |scope| {
        aggregate_metrics::install(&scope, &targets, parts[0].before).await
    })
    .await?;
    let _ = scraping.send(());
    // Beside Kiali's own start, which takes longer than a scrape.
    scraped(run, parts, &written).await?;
    let unused = parts
        .iter()
        .filter(|part| part.cluster.prometheus.is_some());
    let unused = unused.map(|p| run.unless_left_out(p.cluster, unexpose(run, p.cluster)));
    try_join_all(unused).await?;
    Ok(())
}

/// Every cluster was scraped once since the federating Prometheus started.
async fn scraped(run: &Run<'_>, parts: &[Part<'_>], written: &str) -> Result<()> {
    let taking_part = parts.iter().map(|part| part.cluster);
    let clusters = taking_part.filter(|cluster| !run.left_out.has(&cluster.name));
    let clusters = clusters.collect::<Vec<_>>();
    step(run, Step::AggregateMetrics, &run.mesh.home, async |scope| {
        let unscraped = aggregate_metrics::scraped(&scope, &clusters).await;
        let scraped = clusters.len() - unscraped.len();
        for (cluster, problem) in unscraped {
            let failed = std::future::ready(Err::<(), _>(problem.into()));
            run.unless_left_out(cluster, failed).await?;
        }
        scope
            .progress
            .done(format!("{written}; scrapes {scraped} clusters"));
        Ok(())
    })
    .await
}

/// What an install made in a cluster whose Prometheus is somebody else's now.
async fn unexpose(run: &Run<'_>, cluster: &Cluster) -> Result<()> {
    let is_there = |object: &Value| {
        let entry = run.on(Step::ExposePrometheus, cluster).record.entry(object);
        entry.is_some()
    };
    let made = [
        cluster_prometheus::objects(run.images, false)?,
        expose_prometheus::objects(0, None)?,
    ];
    if !made.iter().flatten().any(is_there) {
        return Ok(());
    }
    let gateway = async |scope: Scope<'_>| expose_prometheus::remove(&scope).await;
    step(run, Step::ExposePrometheus, cluster, gateway).await?;
    let own = async |scope: Scope<'_>| cluster_prometheus::remove(&scope).await;
    step(run, Step::ClusterPrometheus, cluster, own).await
}

/// The load balancer takes its time beside the server it leads to.
async fn expose(run: &Run<'_>, part: &Part<'_>) -> Result<ScrapeTarget> {
    let Part { cluster, before } = *part;
    if let Some(address) = &cluster.prometheus {
        let progress = run.on(Step::ExposePrometheus, cluster).progress;
        progress.done(format!(
            "http://{address}/federate is somebody else's, used"
        ));
        return Ok(ScrapeTarget::of(&cluster.name, address));
    }
    let apply = async |scope: Scope<'_>| cluster_prometheus::install(&scope, before).await;
    let prometheus = step(run, Step::ClusterPrometheus, cluster, apply).await?;
    let serving = async |scope: Scope<'_>| cluster_prometheus::serving(&scope, &prometheus).await;
    let gateway =
        async |scope: Scope<'_>| expose_prometheus::install(&scope, prometheus.port, before).await;
    let ((), target) = tokio::try_join!(
        step(run, Step::ClusterPrometheus, cluster, serving),
        step(run, Step::ExposePrometheus, cluster, gateway),
    )?;
    Ok(target)
}
