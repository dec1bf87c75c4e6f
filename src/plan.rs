//! `install --dry-run`: the steps of an install in its order, asked of the API servers as dry runs. What
//! they would write is found by the code that writes, with what admission would make of it.

use anyhow::Result;
use futures::future::try_join_all;

use crate::guide::Step;
use crate::install::{Run, step, unexpose};
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
    record::choose(&run.on(Step::Namespace, &run.mesh.home), run.options).await?;
    let remotes = run.mesh.remotes.iter().zip(&shared[1..]);
    let accesses = try_join_all(remotes.map(|(remote, shared)| on_remote(run, remote, shared)));
    let accesses = accesses.await?;
    on_home(run, &shared, &accesses).await?;
    for (cluster, record) in run.mesh.all().zip(run.records) {
        record.plan(planned(run, cluster)?.iter().map(|(_, object)| object));
        bookkeeping(run, cluster).await?;
    }
    hold(run);
    Ok(changes(run))
}

/// Of what was written, or would have been.
pub fn changes(run: &Run<'_>) -> Vec<Plan> {
    let all = run.mesh.all().zip(run.records);
    let plans = all.map(|(cluster, record)| {
        let mut changes = record.changes();
        changes.sort_by(|a, b| (a.step, &a.object).cmp(&(b.step, &b.object)));
        Plan {
            cluster: cluster.name.clone(),
            changes,
        }
    });
    plans.collect()
}

/// What is the same in each cluster, and what of it the rest needs.
struct Shared {
    before: Before,
    target: ScrapeTarget,
    renewed: bool,
}

async fn everywhere(run: &Run<'_>, cluster: &Cluster) -> Result<Shared> {
    let before = step(run, Step::Namespace, cluster, async |scope| {
        namespaces::install(&scope).await
    })
    .await?;
    let target = exposed(run, cluster, before).await?;
    let renewed = step(run, Step::KialiOperator, cluster, async |scope| {
        kiali_operator::install(&scope, before).await
    })
    .await?;
    Ok(Shared {
        before,
        target,
        renewed,
    })
}

async fn exposed(run: &Run<'_>, cluster: &Cluster, before: Before) -> Result<ScrapeTarget> {
    if let Some(address) = &cluster.prometheus {
        unexpose(run, cluster).await?;
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

async fn on_remote(run: &Run<'_>, remote: &Cluster, shared: &Shared) -> Result<RemoteAccess> {
    step(run, Step::RemoteCluster, remote, async |scope| {
        remote_cluster::foreseen(&scope, shared.before, shared.renewed).await
    })
    .await
}

async fn on_home(run: &Run<'_>, shared: &[Shared], accesses: &[RemoteAccess]) -> Result<()> {
    let (home, before) = (&run.mesh.home, shared[0].before);
    let targets = shared.iter().map(|shared| shared.target.clone());
    let targets = targets.collect::<Vec<_>>();
    step(run, Step::AggregateMetrics, home, async |scope| {
        aggregate_metrics::foreseen(&scope, &targets, before).await
    })
    .await?;
    step(run, Step::RemoteSecret, home, async |scope| {
        remote_secret::install(&scope, accesses, before).await
    })
    .await?;
    step(run, Step::Kiali, home, async |scope| {
        let prometheus = aggregate_metrics::url(run.namespace);
        let cr = kiali::apply(&scope, &prometheus, before).await?;
        let cut_off = accesses.iter().any(|access| access.was_cut_off);
        kiali::foreseen(&scope, &cr, shared[0].renewed, cut_off).await
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
