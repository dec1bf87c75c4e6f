//! `install --dry-run`: the steps of an install in its order, asked of the API servers as dry runs. What
//! they would write is found by the code that writes, with what admission would make of it.

use anyhow::Result;
use futures::future::try_join_all;

use crate::guide::Step;
use crate::install::{Run, step};
use crate::k8s::apply::Before;
use crate::k8s::change::{Change, What};
use crate::k8s::lease;
use crate::k8s::record;
use crate::mesh::{Cluster, ClusterName};
use crate::planned::planned;
use crate::progress::ObjectId;
use crate::steps::{
    RemoteAccess, ScrapeTarget, aggregate_metrics, cluster_prometheus, expose_prometheus, kiali,
    kiali_operator, namespaces, remote_cluster, remote_secret,
};

/// What an install would make of one cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    pub cluster: ClusterName,
    pub changes: Vec<Change>,
}

/// Of each cluster, in the mesh's order.
pub async fn plan(run: &Run<'_>) -> Result<Vec<Plan>> {
    let shared = try_join_all(run.mesh.all().map(|cluster| everywhere(run, cluster))).await?;
    let (before, targets): (Vec<_>, Vec<_>) = shared.into_iter().unzip();
    let remotes = run.mesh.remotes.iter().zip(&before[1..]);
    let accesses = try_join_all(remotes.map(|(remote, before)| on_remote(run, remote, *before)));
    on_home(run, &targets, &accesses.await?, before[0]).await?;
    for (cluster, record) in run.mesh.all().zip(run.records) {
        record.plan(planned(run, cluster)?.iter().map(|(_, object)| object));
        bookkeeping(run, cluster).await?;
    }
    hold(run);
    let plans = run
        .mesh
        .all()
        .zip(run.records)
        .map(|(cluster, record)| Plan {
            cluster: cluster.name.clone(),
            changes: record.changes(),
        });
    Ok(plans.collect())
}

async fn everywhere(run: &Run<'_>, cluster: &Cluster) -> Result<(Before, ScrapeTarget)> {
    let before = step(run, Step::Namespace, cluster, async |scope| {
        namespaces::install(&scope).await
    })
    .await?;
    let target = exposed(run, cluster, before).await?;
    step(run, Step::KialiOperator, cluster, async |scope| {
        kiali_operator::install(&scope, before).await
    })
    .await?;
    Ok((before, target))
}

async fn exposed(run: &Run<'_>, cluster: &Cluster, before: Before) -> Result<ScrapeTarget> {
    if let Some(address) = &cluster.prometheus {
        return Ok(ScrapeTarget::of(&cluster.name, address));
    }
    let prometheus = step(run, Step::ClusterPrometheus, cluster, async |scope| {
        let prometheus = cluster_prometheus::install(&scope, before).await?;
        cluster_prometheus::foreseen(&scope, &prometheus).await?;
        Ok(prometheus)
    })
    .await?;
    step(run, Step::ExposePrometheus, cluster, async |scope| {
        expose_prometheus::foreseen(&scope, prometheus.port, before).await
    })
    .await
}

async fn on_remote(run: &Run<'_>, remote: &Cluster, before: Before) -> Result<RemoteAccess> {
    step(run, Step::RemoteCluster, remote, async |scope| {
        remote_cluster::foreseen(&scope, before).await
    })
    .await
}

async fn on_home(
    run: &Run<'_>,
    targets: &[ScrapeTarget],
    accesses: &[RemoteAccess],
    before: Before,
) -> Result<()> {
    let home = &run.mesh.home;
    step(run, Step::AggregateMetrics, home, async |scope| {
        aggregate_metrics::foreseen(&scope, targets, before).await
    })
    .await?;
    step(run, Step::RemoteSecret, home, async |scope| {
        remote_secret::install(&scope, accesses, before).await
    })
    .await?;
    step(run, Step::Kiali, home, async |scope| {
        let prometheus = aggregate_metrics::url(run.namespace);
        let cr = kiali::apply(&scope, &prometheus, before).await?;
        kiali::foreseen(&scope, &cr).await
    })
    .await
}

/// The record itself.
async fn bookkeeping(run: &Run<'_>, cluster: &Cluster) -> Result<()> {
    let scope = run.on(Step::Namespace, cluster);
    if let Some(what) = record::foreseen(&scope).await? {
        scope.record.tell(Change {
            step: Step::Namespace,
            object: ObjectId::new("ConfigMap", run.namespace, record::NAME),
            what,
            fields: Vec::new(),
        });
    }
    Ok(())
}

/// A run that writes anywhere is held together by a Lease on home, which goes with its end.
fn hold(run: &Run<'_>) {
    let mut changes = run.records.iter().flat_map(|record| record.changes());
    if changes.any(|change| change.what.is_write()) {
        run.records[0].tell(Change {
            step: Step::Namespace,
            object: ObjectId::new("Lease", run.namespace, lease::NAME),
            what: What::Hold,
            fields: Vec::new(),
        });
    }
}
