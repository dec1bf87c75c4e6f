//! The metrics: a Prometheus in each cluster, exposed, and one on home that scrapes them all.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};
use serde_json::Value;

use super::{Part, all};
use crate::guide::Step;
use crate::k8s::Scope;
use crate::k8s::apply::{Applied, Before};
use crate::k8s::record::Key;
use crate::k8s::seen::Seen;
use crate::mesh::{Address, Cluster, ClusterName};
use crate::mutual_tls::{self, Certificates, Pair, Side};
use crate::run::{Run, step};
use crate::steps::aggregate_metrics::{HomeTls, Written};
use crate::steps::cluster_prometheus::{Prometheus, remote_write};
use crate::steps::expose_prometheus::GatewayTls;
use crate::steps::{ScrapeTarget, aggregate_metrics, cluster_prometheus, expose_prometheus};

/// How long after the first interval a scrape is late.
const LATE: Duration = Duration::from_secs(10);
/// For the last look after a wait for scrapes.
const MARGIN: Duration = Duration::from_secs(30);

/// A cluster that will be scraped.
pub struct Exposing<'a> {
    cluster: &'a Cluster,
    prometheus: Server<'a>,
}

enum Server<'a> {
    /// Our own, with the objects of its Gateway. Without a Gateway, it writes to the store.
    Own(Prometheus, Vec<Applied>),
    SomebodyElses(&'a Address),
}

/// The certificates as they are in the clusters, and new ones where there is none that is usable. None if the Gateways
/// answer over plain HTTP. `parts` begins with home. Adds the Secrets that it read to what was `seen` in each cluster.
pub async fn certificates(
    run: &Run<'_>,
    parts: &[Part<'_>],
    seen: &mut [Seen],
) -> Result<Option<Certificates>> {
    if !run.settings.exposure.mutual_tls() || run.settings.store.is_some() {
        return Ok(None);
    }
    let home = parts.first().context("home takes part")?;
    let exposing = parts.iter().filter(|p| p.cluster.prometheus.is_none());
    let gateways = exposing.map(|part| {
        let pair = certificate(run, part, Side::Server);
        run.unless_left_out(part.cluster, pair)
    });
    let client = certificate(run, home, Side::Client);
    let (client, gateways) = tokio::try_join!(client, all(gateways))?;
    for (name, _, live) in std::iter::once(&client).chain(&gateways) {
        let number = run.mesh.all().position(|cluster| cluster.name == *name);
        if let (Some(seen), Some(live)) = (number.and_then(|n| seen.get_mut(n)), live) {
            seen.put(Key::of(live), Some(live.clone()));
        }
    }
    let gateways = gateways.into_iter().map(|(name, pair, _)| (name, pair));
    Ok(Some(Certificates {
        client: client.1,
        gateways: gateways.collect(),
    }))
}

/// The certificate of one side, and the Secret that it was read from.
async fn certificate(
    run: &Run<'_>,
    part: &Part<'_>,
    side: Side,
) -> Result<(ClusterName, Pair, Option<Value>)> {
    let step = match side {
        Side::Client => Step::AggregateMetrics,
        Side::Server => Step::ExposePrometheus,
    };
    let scope = run.on(step, part.cluster);
    let held = match (part.before, side) {
        (Before::Nothing, _) => Ok(None),
        (Before::Unknown, Side::Client) => aggregate_metrics::held(&scope).await,
        (Before::Unknown, Side::Server) => expose_prometheus::held(&scope).await,
    };
    let held = held.context(step)?;
    let live = held.as_ref().map(|held| held.live.clone());
    let pair = mutual_tls::held_or_new(&scope, side, held).context(step)?;
    Ok((part.cluster.name.clone(), pair, live))
}

/// Applies a Prometheus and its Gateway, whose load balancer is created while the server starts.
pub async fn ask<'a>(
    run: &Run<'a>,
    part: &Part<'a>,
    certificates: Option<&Certificates>,
    moves: bool,
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
        // It writes to the store that Kiali queries until Kiali has the federation. One that does not serve has nothing
        // to keep, and may only work again without the store.
        let stays = moves
            && scope.settings.store.is_none()
            && cluster_prometheus::writes(&scope).await?
            && cluster_prometheus::target(&scope).await?.is_some();
        match stays {
            true => Ok(Prometheus::left()),
            false => cluster_prometheus::install(&scope, before).await,
        }
    })
    .await?;
    if run.settings.store.is_some() {
        return Ok(Exposing {
            cluster,
            prometheus: Server::Own(prometheus, Vec::new()),
        });
    }
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

/// How the metrics of all clusters get to Kiali.
pub enum Arranged {
    /// What was written for the federating Prometheus.
    Federated(Written),
    /// Each cluster writes to the store.
    Stored,
}

/// Lets home scrape all clusters, once each of them has an address, or waits until all write to the store.
pub async fn arrange(
    run: &Run<'_>,
    home: &Part<'_>,
    exposing: &[Exposing<'_>],
    certificates: Option<&Certificates>,
) -> Result<Arranged> {
    if run.settings.store.is_none() {
        let federated = federate(run, home, exposing, certificates).await?;
        return Ok(Arranged::Federated(federated));
    }
    let writing = exposing
        .iter()
        .map(|exposing| run.unless_left_out(exposing.cluster, writes(run, exposing)));
    all(writing).await?;
    Ok(Arranged::Stored)
}

async fn writes(run: &Run<'_>, exposing: &Exposing<'_>) -> Result<()> {
    let cluster = exposing.cluster;
    let Server::Own(prometheus, _) = &exposing.prometheus else {
        return Ok(());
    };
    let serving = async |scope: Scope<'_>| cluster_prometheus::serving(&scope, prometheus).await;
    step(run, Step::ClusterPrometheus, cluster, serving).await?;
    if !prometheus.is_ours() {
        return Ok(());
    }
    step(run, Step::RemoteWrite, cluster, async |scope| {
        remote_write::writes(&scope).await
    })
    .await
}

/// Before Kiali is told to query something else: has it work.
pub async fn ahead(
    run: &Run<'_>,
    parts: &[Part<'_>],
    certificates: Option<&Certificates>,
) -> Result<()> {
    let home = parts.first().context("home takes part")?;
    let exposing = parts
        .iter()
        .map(|part| run.unless_left_out(part.cluster, ask(run, part, certificates, true)));
    let exposing = all(exposing).await?;
    let arranged = arrange(run, home, &exposing, certificates).await?;
    scraped(run, parts, &arranged).await
}

/// Once Kiali has its metrics from where the options say: removes what it had them from before.
pub async fn retire(run: &Run<'_>, parts: &[Part<'_>], moves: bool) -> Result<()> {
    if moves {
        discard(run, parts).await?;
    }
    let ours = parts
        .iter()
        .filter(|part| part.cluster.prometheus.is_none() && !run.left_out.has(&part.cluster.name));
    if run.settings.store.is_none() {
        if moves {
            let stopped = ours.map(|p| run.unless_left_out(p.cluster, stop_writing(run, p)));
            try_join_all(stopped).await?;
        }
        return Ok(());
    }
    let home = async {
        let cluster = &run.mesh.home;
        if !has_made(
            run,
            cluster,
            &aggregate_metrics::possible(run.namespace, run.settings)?,
        ) {
            return Ok(());
        }
        let gone = async |scope: Scope<'_>| aggregate_metrics::remove(&scope).await;
        step(run, Step::AggregateMetrics, cluster, gone).await
    };
    let gateways = ours.map(|part| {
        run.unless_left_out(part.cluster, async {
            let all = run.settings.with_all_objects();
            let made = expose_prometheus::objects(0, None, &all, None)?;
            if !has_made(run, part.cluster, &made) {
                return Ok(());
            }
            let gone = async |scope: Scope<'_>| expose_prometheus::remove(&scope).await;
            step(run, Step::ExposePrometheus, part.cluster, gone).await
        })
    });
    tokio::try_join!(home, try_join_all(gateways))?;
    Ok(())
}

async fn stop_writing(run: &Run<'_>, part: &Part<'_>) -> Result<()> {
    let scope = run.on(Step::ClusterPrometheus, part.cluster);
    if !cluster_prometheus::writes(&scope).await? {
        return Ok(());
    }
    step(run, Step::ClusterPrometheus, part.cluster, async |scope| {
        let prometheus = cluster_prometheus::install(&scope, part.before).await?;
        cluster_prometheus::serving(&scope, &prometheus).await
    })
    .await
}

fn has_made(run: &Run<'_>, cluster: &Cluster, objects: &[Value]) -> bool {
    let record = run.on(Step::ExposePrometheus, cluster).record;
    objects.iter().any(|object| record.entry(object).is_some())
}

async fn federate(
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
pub async fn scraped(run: &Run<'_>, parts: &[Part<'_>], arranged: &Arranged) -> Result<()> {
    if let Arranged::Federated(written) = arranged {
        tokio::select! {
            scraped = all_scraped(run, parts, written) => scraped?,
            never = remind(run, parts) => match never {},
        }
    }
    Ok(())
}

/// Removes our Prometheus and its Gateway from the clusters that use one of the user.
pub async fn discard(run: &Run<'_>, parts: &[Part<'_>]) -> Result<()> {
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
    tokio::time::sleep(run.settings.metrics.interval.duration() + LATE).await;
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
        // Longer than a step usually may take, where the interval is long.
        let deadline = run.deadline.sooner(written.patience + MARGIN);
        let scope = Scope { deadline, ..scope };
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
    let all = run.settings.with_all_objects();
    let made = [
        cluster_prometheus::objects(&cluster.name, &all, false)?,
        expose_prometheus::objects(0, None, &all, None)?,
    ];
    if !made.iter().any(|made| has_made(run, cluster, made)) {
        return Ok(());
    }
    let gateway = async |scope: Scope<'_>| expose_prometheus::remove(&scope).await;
    step(run, Step::ExposePrometheus, cluster, gateway).await?;
    let own = async |scope: Scope<'_>| cluster_prometheus::remove(&scope).await;
    step(run, Step::ClusterPrometheus, cluster, own).await
}
