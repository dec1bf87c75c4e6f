//! The metrics: a Prometheus in each cluster, exposed, and one on home that scrapes them all.

use anyhow::Result;
use futures::future::try_join_all;
use serde_json::Value;

use super::{Part, all};
use crate::guide::Step;
use crate::k8s::Scope;
use crate::k8s::apply::Applied;
use crate::mesh::{Address, Cluster};
use crate::run::{Run, step};
use crate::steps::cluster_prometheus::Prometheus;
use crate::steps::{ScrapeTarget, aggregate_metrics, cluster_prometheus, expose_prometheus};

/// A cluster that will be scraped.
pub struct Exposing<'a> {
    cluster: &'a Cluster,
    prometheus: Server<'a>,
}

enum Server<'a> {
    /// Our own, with the objects of its Gateway.
    Own(Prometheus, Vec<Applied>),
    SomebodyElses(&'a Address),
}

/// Applies a Prometheus and its Gateway, whose load balancer is created while the server starts.
pub async fn ask<'a>(run: &Run<'a>, part: &Part<'a>) -> Result<Exposing<'a>> {
    let Part { cluster, before } = *part;
    if let Some(address) = &cluster.prometheus {
        let prometheus = Server::SomebodyElses(address);
        return Ok(Exposing {
            cluster,
            prometheus,
        });
    }
    let prometheus = step(run, Step::ClusterPrometheus, cluster, async |scope| {
        cluster_prometheus::install(&scope, before).await
    })
    .await?;
    let gateway = step(run, Step::ExposePrometheus, cluster, async |scope| {
        expose_prometheus::install(&scope, prometheus.port, before).await
    })
    .await?;
    Ok(Exposing {
        cluster,
        prometheus: Server::Own(prometheus, gateway),
    })
}

/// Lets home scrape all clusters, once each of them has an address. Returns a summary of what was written.
pub async fn federate(run: &Run<'_>, home: &Part<'_>, exposing: &[Exposing<'_>]) -> Result<String> {
    let targets = exposing
        .iter()
        .map(|exposing| run.unless_left_out(exposing.cluster, target(run, exposing)));
    let targets = all(targets).await?;
    step(run, Step::AggregateMetrics, home.cluster, async |scope| {
        aggregate_metrics::install(&scope, &targets, home.before).await
    })
    .await
}

async fn target(run: &Run<'_>, exposing: &Exposing<'_>) -> Result<ScrapeTarget> {
    let cluster = exposing.cluster;
    let (prometheus, gateway) = match &exposing.prometheus {
        Server::Own(prometheus, gateway) => (prometheus, gateway),
        Server::SomebodyElses(address) => {
            let progress = run.on(Step::ExposePrometheus, cluster).progress;
            progress.done(format!(
                "http://{address}/federate is somebody else's, used"
            ));
            return Ok(ScrapeTarget::of(&cluster.name, address));
        }
    };
    let serving = async |scope: Scope<'_>| cluster_prometheus::serving(&scope, prometheus).await;
    let reachable = async |scope: Scope<'_>| expose_prometheus::reachable(&scope, gateway).await;
    let ((), target) = tokio::try_join!(
        step(run, Step::ClusterPrometheus, cluster, serving),
        step(run, Step::ExposePrometheus, cluster, reachable),
    )?;
    Ok(target)
}

/// Waits until every cluster was scraped once since the federating Prometheus started, and then removes what is
/// no longer scraped.
pub async fn scraped(run: &Run<'_>, parts: &[Part<'_>], written: &str) -> Result<()> {
    all_scraped(run, parts, written).await?;
    let unused = parts
        .iter()
        .filter(|part| part.cluster.prometheus.is_some());
    let unused = unused.map(|p| run.unless_left_out(p.cluster, unexpose(run, p.cluster)));
    try_join_all(unused).await?;
    Ok(())
}

async fn all_scraped(run: &Run<'_>, parts: &[Part<'_>], written: &str) -> Result<()> {
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

/// Removes our Prometheus from a cluster that now uses a foreign one.
async fn unexpose(run: &Run<'_>, cluster: &Cluster) -> Result<()> {
    let is_there = |object: &Value| {
        let entry = run.on(Step::ExposePrometheus, cluster).record.entry(object);
        entry.is_some()
    };
    let all = run.settings.with_all_objects();
    let made = [
        cluster_prometheus::objects(&all, false)?,
        expose_prometheus::objects(0, None, &all)?,
    ];
    if !made.iter().flatten().any(is_there) {
        return Ok(());
    }
    let gateway = async |scope: Scope<'_>| expose_prometheus::remove(&scope).await;
    step(run, Step::ExposePrometheus, cluster, gateway).await?;
    let own = async |scope: Scope<'_>| cluster_prometheus::remove(&scope).await;
    step(run, Step::ClusterPrometheus, cluster, own).await
}
