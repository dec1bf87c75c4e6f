//! `cleanup`: removes an install in an order that never leaves a finalizer without its operator. Kiali loses its
//! remotes before their rights are removed. Then all clusters are cleared at the same time by their records: the CR
//! while an operator runs, the namespace last. At the end, all kinds are searched again without the record.

mod away;
mod only;
mod report;

use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;

pub use only::only;
use report::Stays;
pub use report::{ClusterObject, Doubt, Forced, Left, Report};

use crate::deadline::Deadline;
use crate::guide::Step;
use crate::k8s::delete::delete_all;
use crate::k8s::namespaces::Reason;
use crate::k8s::record::{self, Entry, Origin};
use crate::k8s::{Scope, contents, ownership, write};
use crate::mesh::{Cluster, ClusterName};
use crate::progress::ObjectId;
use crate::run::{Run, on_all, step};
use crate::steps::{
    aggregate_metrics, cluster_prometheus, expose_prometheus, kiali, kiali_operator, namespaces,
    probes, remote_cluster, remote_secret,
};

const LAST_LOOK: Duration = Duration::from_secs(30);

/// Clears all clusters of this run. Objects in forgotten clusters stay. On an error, nothing was done.
pub async fn cleanup(run: &Run<'_>, given_up: &[ClusterName]) -> Result<Report> {
    let mut report = Report::default();
    on_all(run.mesh.all().map(|cluster| open(run, cluster))).await?;
    away::all_are_named(run, given_up)?;
    let any = run
        .records
        .iter()
        .any(|record| !record.entries().is_empty());
    if any && !run.choices.dry_run {
        run.lease.hold_to_remove(run.deadline).await?;
    }
    let home = &run.mesh.home;
    let forgotten = step(run, Step::RemoteSecret, home, async |s| {
        remote_secret::remove(&s).await
    });
    report.failures.extend(forgotten.await.err());
    let cleared = join_all(run.mesh.all().map(|cluster| clear(run, cluster))).await;
    for (cluster, cleared) in run.mesh.all().zip(cleared) {
        end(run, cluster, cleared, &mut report).await;
    }
    report.left.extend(away::stays(run, given_up)?);
    Ok(report)
}

/// What was removed from a cluster, and what is left in it.
async fn end(run: &Run<'_>, cluster: &Cluster, cleared: Cleared, report: &mut Report) {
    report.failures.extend(cleared.failures);
    // Whatever the removal took: without this search, nothing is known.
    let scope = Scope {
        deadline: Deadline::after(LAST_LOOK),
        ..run.on(Step::Namespace, cluster)
    };
    let removed = scope.record.all_removed().into_iter();
    let removed = removed.map(|object| ClusterObject {
        cluster: cluster.name.to_string(),
        object,
    });
    report.removed.extend(removed);
    let doubts = scope.record.doubts().into_iter();
    report.doubts.extend(doubts.map(|message| Doubt {
        cluster: cluster.name.to_string(),
        message,
    }));
    match forced(&scope).await {
        Ok(forced) => report.forced.extend(forced),
        Err(error) => report.failures.push(error),
    }
    let left = match contents::left(&scope).await {
        Ok(left) => left,
        Err(error) => return report.failures.push(error),
    };
    for (object, reason) in left {
        let stays = stays(&scope, &object, reason, cleared.kept.as_ref());
        report.stays(cluster.name.to_string(), object, stays);
    }
}

/// Why an object stays, and whether the user wants it so.
fn stays(
    scope: &Scope<'_>,
    object: &ObjectId,
    reason: Option<String>,
    namespace: Option<&Reason>,
) -> Stays {
    match (object.kind.as_str(), reason, namespace) {
        (record::CLAIM, None, _) if !scope.choices.delete_data => {
            let namespace = scope.namespace;
            Stays::Kept(format!(
                "it holds the history of the metrics; to delete it: ambikiali cleanup --delete-data -n {namespace}"
            ))
        }
        ("Namespace", None, Some(kept)) if kept.as_wanted => Stays::Kept(kept.text.clone()),
        ("Namespace", None, kept) => Stays::Left(kept.map(|kept| kept.text.clone())),
        (_, reason, _) => Stays::Left(reason),
    }
}

/// Fields of foreign objects that an install changed, as long as the objects still have them.
async fn forced(scope: &Scope<'_>) -> Result<Vec<Forced>> {
    let mut found = Vec::new();
    for (key, fields) in scope.record.all_forced() {
        let live = write::read(scope, &key.object(), &key.id()).await?;
        if live.is_some_and(|live| ownership::applied_fields(&live).is_some()) {
            found.push(Forced {
                cluster: scope.cluster.name.to_string(),
                object: key.id(),
                fields,
            });
        }
    }
    Ok(found)
}

async fn open(run: &Run<'_>, cluster: &Cluster) -> Result<()> {
    let scope = run.on(Step::Namespace, cluster);
    if let Some(said) = record::open(&scope).await?.said() {
        scope.progress.note(said);
    }
    Ok(())
}

/// The result of the removal in one cluster.
#[derive(Default)]
struct Cleared {
    failures: Vec<anyhow::Error>,
    /// Why our namespace stays.
    kept: Option<Reason>,
}

/// Clears one cluster. The CR is removed before the operator, because nothing else runs its finalizer.
async fn clear(run: &Run<'_>, cluster: &Cluster) -> Cleared {
    let (cr, metrics, probes) = tokio::join!(
        kiali_cr(run, cluster),
        metrics(run, cluster),
        probes_left(run, cluster)
    );
    let mut cleared = Cleared {
        failures: metrics,
        kept: None,
    };
    cleared.failures.extend(probes.err());
    let rest = match cr {
        Ok(()) => rest(run, cluster).await,
        Err(error) => Err(error),
    };
    match rest {
        Ok(kept) => cleared.kept = kept,
        Err(error) => cleared.failures.push(error),
    }
    cleared
}

async fn kiali_cr<'a>(run: &Run<'a>, cluster: &'a Cluster) -> Result<()> {
    match run.is_home(cluster) {
        true => step(run, Step::Kiali, cluster, async |s| kiali::remove(&s).await).await,
        false => {
            step(run, Step::RemoteCluster, cluster, async |s| {
                remote_cluster::remove(&s).await
            })
            .await
        }
    }
}

/// Removes the objects of the metrics, which do not need the operator.
async fn metrics(run: &Run<'_>, cluster: &Cluster) -> Vec<anyhow::Error> {
    let federating = async {
        if !run.is_home(cluster) {
            return Ok(());
        }
        step(run, Step::AggregateMetrics, cluster, async |s| {
            aggregate_metrics::remove(&s).await
        })
        .await
    };
    let own = async {
        step(run, Step::ExposePrometheus, cluster, async |s| {
            expose_prometheus::remove(&s).await
        })
        .await?;
        step(run, Step::ClusterPrometheus, cluster, async |s| {
            cluster_prometheus::remove(&s).await
        })
        .await
    };
    let (federating, own) = tokio::join!(federating, own);
    [federating, own]
        .into_iter()
        .filter_map(Result::err)
        .collect()
}

/// Removes the probes of a `verify` that was killed.
async fn probes_left(run: &Run<'_>, cluster: &Cluster) -> Result<()> {
    if !probes::are_recorded(&run.on(Step::Probes, cluster))? {
        return Ok(());
    }
    step(run, Step::Probes, cluster, async |s| {
        probes::remove_left(&s).await
    })
    .await
}

/// Returns why our namespace stays.
async fn rest(run: &Run<'_>, cluster: &Cluster) -> Result<Option<Reason>> {
    let needed = step(run, Step::KialiOperator, cluster, async |s| {
        kiali_operator::remove(&s).await
    })
    .await?;
    step(run, Step::Namespace, cluster, async |s| match needed {
        true => {
            let reason = "its operator is needed";
            s.progress.done(format!("kept {}: {reason}", s.namespace));
            Ok(Some(Reason {
                text: reason.into(),
                as_wanted: false,
            }))
        }
        false => {
            others(&s).await?;
            namespaces::remove(&s).await
        }
    })
    .await
}

/// Removes what the record names beyond these steps, and adopted objects if the user asked for that. The CRD and its
/// CRs are only removed by their own step, because others may have CRs of that kind.
async fn others(scope: &Scope<'_>) -> Result<()> {
    let by_step = ["CustomResourceDefinition", "Kiali", "Namespace"];
    let goes = |entry: &Entry| {
        (entry.origin == Origin::Created || scope.choices.adopted)
            && !by_step.contains(&entry.key.kind.as_str())
    };
    let entries = scope.record.entries();
    let objects = entries
        .iter()
        .filter(|entry| goes(entry))
        .map(|entry| entry.key.object());
    delete_all(scope, &objects.collect::<Vec<_>>()).await?;
    Ok(())
}
