//! The metrics: a Prometheus in each cluster, exposed, and one on home that scrapes them all.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};
use serde_json::Value;

use super::{Part, all};
use crate::guide::Step;
use crate::k8s::Scope;
use crate::k8s::apply::Applied;
use crate::mesh::{Address, Cluster, ClusterName};
use crate::mutual_tls::{self, Certificates, Side};
use crate::run::{Run, step};
use crate::steps::aggregate_metrics::{HomeTls, Written};
use crate::steps::cluster_prometheus::Prometheus;
use crate::steps::expose_prometheus::GatewayTls;
use crate::steps::{ScrapeTarget, aggregate_metrics, cluster_prometheus, expose_prometheus};

/// After how long a scrape is late, at intervals of 15 s.
const LATE: Duration = Duration::from_secs(25);

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

/// The certificates as they are in the clusters, and new ones where there is none that is usable. None if the Gateways
/// answer over plain HTTP.
pub async fn certificates(run: &Run<'_>, parts: &[Part<'_>]) -> Result<Option<Certificates>> {
    if !run.settings.exposure.mutual_tls() {
        return Ok(None);
    }
    let home = async {
        let scope = run.on(Step::AggregateMetrics, &run.mesh.home);
        let held = aggregate_metrics::held(&scope).await;
        let pair = held.and_then(|held| mutual_tls::held_or_new(&scope, Side::Client, held));
        pair.context(Step::AggregateMetrics)
    };
    let exposing = parts.iter().filter(|p| p.cluster.prometheus.is_none());
    let gateways = exposing.map(|part| {
        let pair = async {
            let scope = run.on(Step::ExposePrometheus, part.cluster);
            let held = expose_prometheus::held(&scope).await;
            let pair = held.and_then(|held| mutual_tls::held_or_new(&scope, Side::Server, held));
            let pair = pair.context(Step::ExposePrometheus)?;
            anyhow::Ok((part.cluster.name.clone(), pair))
        };
        run.unless_left_out(part.cluster, pair)
    });
    let (client, gateways) = tokio::try_join!(home, all(gateways))?;
    let gateways = gateways.into_iter().collect();
    Ok(Some(Certificates { client, gateways }))
}

/// Applies a Prometheus and its Gateway, whose load balancer is created while the server starts.
pub async fn ask<'a>(
    run: &Run<'a>,
    part: &Part<'a>,
    certificates: Option<&Certificates>,
) -> Result<Exposing<'a>> {
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
        let tls = certificates.and_then(|all| gateway_tls(all, &cluster.name));
        expose_prometheus::install(&scope, prometheus.port, tls.as_ref(), before).await
    })
    .await?;
    Ok(Exposing {
        cluster,
        prometheus: Server::Own(prometheus, gateway),
    })
}

fn gateway_tls<'a>(all: &'a Certificates, cluster: &ClusterName) -> Option<GatewayTls<'a>> {
    Some(GatewayTls {
        own: all.gateways.get(cluster)?,
        client: &all.client.certificate,
    })
}

fn home_tls(all: &Certificates) -> HomeTls<'_> {
    let gateways = all.gateways.iter();
    HomeTls {
        own: &all.client,
        gateways: gateways
            .map(|(name, pair)| (name.clone(), pair.certificate.clone()))
            .collect(),
    }
}

/// Lets home scrape all clusters, once each of them has an address. Returns what was written.
pub async fn federate(
    run: &Run<'_>,
    home: &Part<'_>,
    exposing: &[Exposing<'_>],
    certificates: Option<&Certificates>,
) -> Result<Written> {
    let targets = exposing
        .iter()
        .map(|exposing| run.unless_left_out(exposing.cluster, target(run, exposing)));
    let targets = all(targets).await?;
    step(run, Step::AggregateMetrics, home.cluster, async |scope| {
        let tls = certificates.map(home_tls);
        aggregate_metrics::install(&scope, &targets, tls.as_ref(), home.before).await
    })
    .await
}

async fn target(run: &Run<'_>, exposing: &Exposing<'_>) -> Result<ScrapeTarget> {
    let cluster = exposing.cluster;
    let (prometheus, gateway) = match &exposing.prometheus {
        Server::Own(prometheus, gateway) => (prometheus, gateway),
        Server::SomebodyElses(address) => {
            let progress = run.on(Step::ExposePrometheus, cluster).progress;
            let target = ScrapeTarget::of(&cluster.name, address);
            progress.done(format!("{} is somebody else's, used", target.url()));
            return Ok(target);
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
pub async fn scraped(run: &Run<'_>, parts: &[Part<'_>], written: &Written) -> Result<()> {
    tokio::select! {
        scraped = all_scraped(run, parts, written) => scraped?,
        never = remind(run, parts) => match never {},
    }
    let unused = parts
        .iter()
        .filter(|part| part.cluster.prometheus.is_some());
    let unused = unused.map(|p| run.unless_left_out(p.cluster, unexpose(run, p.cluster)));
    try_join_all(unused).await?;
    Ok(())
}

/// Opens the ports of Gateways that may be closed since a certificate was unusable, once a scrape is late. It only helps:
/// whether the clusters are scraped decides about the install.
async fn remind(run: &Run<'_>, parts: &[Part<'_>]) -> Infallible {
    tokio::time::sleep(LATE).await;
    let closed = parts
        .iter()
        .filter(|part| run.settings.exposure.mutual_tls() && part.cluster.prometheus.is_none());
    let opened = closed.map(async |part| {
        let scope = run.on(Step::ExposePrometheus, part.cluster);
        if let Err(error) = expose_prometheus::push_again(&scope).await {
            scope
                .progress
                .note(format!("{}: {error:#}", part.cluster.name));
        }
    });
    join_all(opened).await;
    std::future::pending().await
}

async fn all_scraped(run: &Run<'_>, parts: &[Part<'_>], written: &Written) -> Result<()> {
    let taking_part = parts.iter().map(|part| part.cluster);
    let clusters = taking_part.filter(|cluster| !run.left_out.has(&cluster.name));
    let clusters = clusters.collect::<Vec<_>>();
    step(run, Step::AggregateMetrics, &run.mesh.home, async |scope| {
        let unscraped = aggregate_metrics::scraped(&scope, &clusters, written).await;
        let scraped = clusters.len() - unscraped.len();
        for (cluster, problem) in unscraped {
            let failed = std::future::ready(Err::<(), _>(problem.into()));
            run.unless_left_out(cluster, failed).await?;
        }
        let summary = &written.summary;
        scope
            .progress
            .done(format!("{summary}; scrapes {scraped} clusters"));
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
        expose_prometheus::objects(0, None, &all, None)?,
    ];
    if !made.iter().flatten().any(is_there) {
        return Ok(());
    }
    let gateway = async |scope: Scope<'_>| expose_prometheus::remove(&scope).await;
    step(run, Step::ExposePrometheus, cluster, gateway).await?;
    let own = async |scope: Scope<'_>| cluster_prometheus::remove(&scope).await;
    step(run, Step::ClusterPrometheus, cluster, own).await
}
