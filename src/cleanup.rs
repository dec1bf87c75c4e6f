//! `cleanup`: the guide's tiers in an order that never strands a finalizer. Kiali loses its remotes
//! before their rights go, the CRs go while an operator is there, the namespace goes last. It ends
//! by looking again.

use anyhow::Result;
use futures::future::join_all;

use crate::guide::Step;
use crate::install::{Run, step};
use crate::k8s::contents;
use crate::mesh::Cluster;
use crate::progress::ObjectId;
use crate::steps::{
    aggregate_metrics, cluster_prometheus, expose_prometheus, kiali, kiali_operator, namespaces,
    remote_cluster, remote_secret,
};

/// What could not be removed, and what is left.
#[derive(Debug, Default)]
pub struct Report {
    pub failures: Vec<anyhow::Error>,
    pub left: Vec<(String, ObjectId)>,
}

pub async fn cleanup(run: &Run<'_>) -> Report {
    let mut report = Report::default();
    let home = &run.mesh.home;
    keep(
        &mut report,
        [step(run, Step::RemoteSecret, home, async |s| {
            remote_secret::remove(&s).await
        })
        .await],
    );
    let (crs, metrics) = tokio::join!(
        join_all(run.mesh.all().map(|c| kiali_cr(run, c))),
        metrics(run)
    );
    let gone = crs.iter().map(Result::is_ok).collect::<Vec<_>>();
    keep(&mut report, crs);
    keep(&mut report, metrics);
    // An operator that goes before its CR leaves a finalizer that nobody runs.
    let cleared = run
        .mesh
        .all()
        .zip(gone)
        .filter(|(_, gone)| *gone)
        .map(|(cluster, _)| cluster)
        .collect::<Vec<_>>();
    let rest = join_all(cleared.into_iter().map(|cluster| rest(run, cluster))).await;
    keep(&mut report, rest);
    for cluster in run.mesh.all() {
        match contents::ours(&run.on(Step::Namespace, cluster)).await {
            Ok(left) => report
                .left
                .extend(left.into_iter().map(|o| (cluster.name.to_string(), o))),
            Err(error) => report.failures.push(error),
        }
    }
    report
}

fn keep(report: &mut Report, results: impl IntoIterator<Item = Result<()>>) {
    report
        .failures
        .extend(results.into_iter().filter_map(Result::err));
}

async fn kiali_cr<'a>(run: &Run<'a>, cluster: &'a Cluster) -> Result<()> {
    match cluster.uid == run.mesh.home.uid {
        true => step(run, Step::Kiali, cluster, async |s| kiali::remove(&s).await).await,
        false => {
            step(run, Step::RemoteCluster, cluster, async |s| {
                remote_cluster::remove(&s).await
            })
            .await
        }
    }
}

/// Nothing of it needs the operator.
async fn metrics(run: &Run<'_>) -> Vec<Result<()>> {
    let home = &run.mesh.home;
    let federating = step(run, Step::AggregateMetrics, home, async |s| {
        aggregate_metrics::remove(&s).await
    });
    let each = join_all(run.mesh.all().map(async |cluster| {
        step(run, Step::ExposePrometheus, cluster, async |s| {
            expose_prometheus::remove(&s).await
        })
        .await?;
        step(run, Step::ClusterPrometheus, cluster, async |s| {
            cluster_prometheus::remove(&s).await
        })
        .await
    }));
    let (federating, mut results) = tokio::join!(federating, each);
    results.push(federating);
    results
}

async fn rest(run: &Run<'_>, cluster: &Cluster) -> Result<()> {
    let needed = step(run, Step::KialiOperator, cluster, async |s| {
        kiali_operator::remove(&s).await
    })
    .await?;
    step(run, Step::Namespace, cluster, async |s| match needed {
        true => {
            let kept = format!("kept {}: its operator is needed", s.namespace);
            s.progress.done(kept);
            Ok(())
        }
        false => namespaces::remove(&s).await,
    })
    .await
}
