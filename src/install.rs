//! `install`: the order of the guide and what may run at once, nothing else. The metrics and Kiali
//! are two branches that meet where a remote is given to Kiali.

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::guide::Step;
use crate::images::Images;
use crate::k8s::apply::{Applied, Before, Outcome};
use crate::k8s::lease::Lease;
use crate::k8s::record::{self, Record};
use crate::k8s::{Choices, Deadline, Scope, pods};
use crate::mesh::{Cluster, ClusterName, Mesh};
use crate::options::Options;
use crate::planned::planned;
use crate::progress::Events;
use crate::steps::{
    RemoteAccess, ScrapeTarget, aggregate_metrics, cluster_prometheus, expose_prometheus, kiali,
    kiali_operator, namespaces, remote_cluster, remote_secret,
};

/// What all steps of one run share.
#[derive(Clone)]
pub struct Run<'a> {
    pub mesh: &'a Mesh,
    pub namespace: &'a str,
    pub deadline: Deadline,
    pub events: Events,
    /// One for each cluster, in the mesh's order.
    pub records: &'a [Record],
    pub lease: &'a Lease,
    pub choices: Choices,
    /// To be remembered.
    pub options: &'a Options,
    pub images: &'a Images,
}

impl<'a> Run<'a> {
    pub fn on(&self, step: Step, cluster: &'a Cluster) -> Scope<'a> {
        let progress = self.events.of(step, &cluster.name);
        let number = self.mesh.all().position(|other| other.uid == cluster.uid);
        Scope {
            cluster,
            record: &self.records[number.unwrap_or_default()],
            lease: self.lease,
            choices: self.choices,
            images: self.images,
            namespace: self.namespace,
            progress,
            deadline: self.deadline.sooner(step.budget()),
        }
    }

    pub fn is_home(&self, cluster: &Cluster) -> bool {
        cluster.uid == self.mesh.home.uid
    }

    pub fn names(&self) -> Vec<ClusterName> {
        self.mesh.all().map(|c| c.name.clone()).collect()
    }
}

/// Runs one step, and says in an error which one and where.
pub async fn step<'a, T>(
    run: &Run<'a>,
    step: Step,
    cluster: &'a Cluster,
    work: impl AsyncFnOnce(Scope<'a>) -> Result<T>,
) -> Result<T> {
    let scope = run.on(step, cluster);
    let progress = scope.progress.clone();
    progress.started();
    work(scope)
        .await
        .inspect_err(|_| progress.failed())
        .with_context(|| step.to_string())
}

pub async fn install(run: &Run<'_>) -> Result<()> {
    let before = try_join_all(run.mesh.all().map(|cluster| namespace(run, cluster))).await?;
    for (cluster, record) in run.mesh.all().zip(run.records) {
        record.plan(planned(run, cluster)?.iter().map(|(_, object)| object));
    }
    record::choose(&run.on(Step::Namespace, &run.mesh.home), run.options).await?;
    let (scraping, scraped) = oneshot::channel();
    let (proven, accesses): (Vec<_>, Vec<_>) =
        run.mesh.remotes.iter().map(|_| oneshot::channel()).unzip();
    let remotes = run.mesh.remotes.iter().zip(&before[1..]).zip(proven);
    tokio::try_join!(
        metrics(run, &before, scraping),
        try_join_all(
            remotes.map(|((remote, before), proven)| remote_cluster(run, remote, *before, proven))
        ),
        home_kiali(run, before[0], scraped, accesses),
    )?;
    let recorded = run.mesh.all().map(async |cluster| {
        let scope = run.on(Step::Namespace, cluster);
        record::finish(&scope).await
    });
    try_join_all(recorded).await?;
    Ok(())
}

async fn namespace(run: &Run<'_>, cluster: &Cluster) -> Result<Before> {
    step(run, Step::Namespace, cluster, async |scope| {
        namespaces::install(&scope).await
    })
    .await
}

/// A Prometheus in each cluster, exposed, and one on home that scrapes them all.
async fn metrics(run: &Run<'_>, before: &[Before], scraping: oneshot::Sender<()>) -> Result<()> {
    let exposed = run
        .mesh
        .all()
        .zip(before)
        .map(|(cluster, before)| expose(run, cluster, *before));
    let targets = try_join_all(exposed).await?;
    step(run, Step::AggregateMetrics, &run.mesh.home, async |scope| {
        aggregate_metrics::install(&scope, &targets, before[0]).await
    })
    .await?;
    let _ = scraping.send(());
    let unused = run
        .mesh
        .all()
        .filter(|cluster| cluster.prometheus.is_some());
    try_join_all(unused.map(|cluster| unexpose(run, cluster))).await?;
    Ok(())
}

/// What an install made in a cluster whose Prometheus is somebody else's now.
async fn unexpose(run: &Run<'_>, cluster: &Cluster) -> Result<()> {
    let is_there = |object: &Value| {
        let entry = run.on(Step::ExposePrometheus, cluster).record.entry(object);
        entry.is_some()
    };
    let made = [
        cluster_prometheus::objects(run.images)?,
        expose_prometheus::objects(0)?,
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
async fn expose(run: &Run<'_>, cluster: &Cluster, before: Before) -> Result<ScrapeTarget> {
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

/// A proven way into a remote is of use before the operator there is done.
async fn remote_cluster(
    run: &Run<'_>,
    remote: &Cluster,
    before: Before,
    proven: oneshot::Sender<RemoteAccess>,
) -> Result<()> {
    let renewed = operator(run, remote, before).await?;
    step(run, Step::RemoteCluster, remote, async |scope| {
        let (access, cr) = remote_cluster::install(&scope, before).await?;
        let prove = async {
            remote_cluster::granted(&scope).await?;
            remote_secret::prove(&scope, &access).await?;
            let _ = proven.send(access.clone());
            Ok(())
        };
        tokio::try_join!(prove, remote_cluster::settled(&scope, cr, renewed))?;
        Ok(())
    })
    .await
}

/// Kiali is asked for at once, and given its remotes when they are proven and the federating
/// Prometheus runs, from whose pod they are reached once more.
async fn home_kiali(
    run: &Run<'_>,
    before: Before,
    scraped: oneshot::Receiver<()>,
    accesses: Vec<oneshot::Receiver<RemoteAccess>>,
) -> Result<()> {
    let home = &run.mesh.home;
    let renewed = operator(run, home, before).await?;
    let prometheus = aggregate_metrics::url(run.namespace);
    let apply = async |scope: Scope<'_>| kiali::apply(&scope, &prometheus, before).await;
    let cr = step(run, Step::Kiali, home, apply).await?;
    let made = step(run, Step::Kiali, home, async |scope| {
        kiali::settled(&scope, &cr, renewed).await
    });
    let given = async {
        let accesses = join_all(accesses.into_iter().map(arrival));
        let (accesses, ()) = tokio::join!(accesses, arrival(scraped));
        step(run, Step::RemoteSecret, home, async |scope| {
            give(&scope, &accesses, before).await
        })
        .await
    };
    let secret = match cr.outcome {
        Outcome::Created => tokio::try_join!(made, given)?.1,
        // Over a Kiali that is there already the operator's run puts back what it read at its
        // beginning: a roll-out with new remotes in the middle of it would be lost.
        _ => {
            made.await?;
            given.await?
        }
    };
    step(run, Step::Kiali, home, async |scope| {
        kiali::serving(&scope, &secret, &run.names(), &[]).await
    })
    .await
}

/// What another branch finds. Where that branch fails its error ends the whole run.
async fn arrival<T>(branch: oneshot::Receiver<T>) -> T {
    match branch.await {
        Ok(found) => found,
        Err(_) => std::future::pending().await,
    }
}

/// Whether one that was there is another one now.
async fn operator(run: &Run<'_>, cluster: &Cluster, before: Before) -> Result<bool> {
    step(run, Step::KialiOperator, cluster, async |scope| {
        kiali_operator::install(&scope, before).await
    })
    .await
}

async fn give(home: &Scope<'_>, accesses: &[RemoteAccess], before: Before) -> Result<Applied> {
    let pod = pods::ready(home, home.namespace, aggregate_metrics::PODS).await?;
    let pod = pod.context("no pod of the federating Prometheus is ready any more")?;
    let container = aggregate_metrics::CONTAINER;
    try_join_all(
        accesses
            .iter()
            .map(|a| remote_secret::reached_from_home(home, &pod, container, a)),
    )
    .await?;
    remote_secret::install(home, accesses, before).await
}
