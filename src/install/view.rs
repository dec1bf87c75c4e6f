//! The branch of Kiali: rights in each remote, and the Kiali on home that uses them.

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};
use tokio::sync::oneshot;

use super::Part;
use crate::guide::Step;
use crate::k8s::apply::{Applied, Before, Outcome};
use crate::k8s::{Scope, ownership, pods};
use crate::mesh::{Cluster, ClusterName};
use crate::run::{Run, step};
use crate::steps::{
    RemoteAccess, aggregate_metrics, kiali, kiali_operator, remote_cluster, remote_secret,
};

/// A proven way into a remote is of use before the operator there is done.
pub async fn remote_cluster(
    run: &Run<'_>,
    remote: &Part<'_>,
    proven: oneshot::Sender<RemoteAccess>,
) -> Result<()> {
    let Part { cluster, before } = *remote;
    let renewed = operator(run, cluster, before).await?;
    step(run, Step::RemoteCluster, cluster, async |scope| {
        let remote = remote_cluster::install(&scope, before).await?;
        let prove = async {
            remote_cluster::granted(&scope).await?;
            remote_secret::prove(&scope, &remote.access).await?;
            let _ = proven.send(remote.access.clone());
            Ok(())
        };
        let settled = remote_cluster::settled(&scope, &remote, renewed);
        if remote.is_whole {
            tokio::try_join!(prove, settled)?;
        } else {
            // Some of the rights may be there, and others only when the operator is done.
            settled.await?;
            prove.await?;
        }
        Ok(())
    })
    .await
}

/// Kiali is asked for at once, and given its remotes when they are proven and the federating
/// Prometheus runs, from whose pod they are reached once more.
pub async fn kiali(
    run: &Run<'_>,
    home: &Part<'_>,
    scraped: oneshot::Receiver<()>,
    accesses: Vec<oneshot::Receiver<RemoteAccess>>,
) -> Result<()> {
    let Part {
        cluster: home,
        before,
    } = *home;
    let renewed = operator(run, home, before).await?;
    let prometheus = aggregate_metrics::url(run.namespace);
    let apply = async |scope: Scope<'_>| kiali::apply(&scope, &prometheus, before).await;
    let cr = step(run, Step::Kiali, home, apply).await?;
    let made = step(run, Step::Kiali, home, async |scope| {
        kiali::settled(&scope, &cr, renewed).await
    });
    let given = async {
        let accesses = join_all(accesses.into_iter().map(|branch| arrival(run, branch)));
        let (accesses, _) = tokio::join!(accesses, arrival(run, scraped));
        let accesses = accesses.into_iter().flatten().collect::<Vec<_>>();
        step(run, Step::RemoteSecret, home, async |scope| {
            give(run, &scope, accesses, before).await
        })
        .await
    };
    let (cut_off, given) = match cr.outcome {
        Outcome::Created => tokio::try_join!(made, given)?,
        // Over a Kiali that is there already the operator's run puts back what it read at its
        // beginning: a roll-out with new remotes in the middle of it would be lost.
        _ => (made.await?, given.await?),
    };
    step(run, Step::Kiali, home, async |scope| {
        let mut since = ownership::written_at(&given.secret.live);
        if cut_off || given.was_cut_off {
            since = kiali::restarted(&scope).await?.max(since);
        }
        let names = std::iter::once(home.name.clone()).chain(given.remotes);
        kiali::serving(&scope, since, &names.collect::<Vec<_>>(), &[]).await
    })
    .await
}

/// What another branch finds. Where that branch fails its error ends the whole run, unless the run goes on
/// without it.
async fn arrival<T>(run: &Run<'_>, branch: oneshot::Receiver<T>) -> Option<T> {
    match branch.await {
        Ok(found) => Some(found),
        Err(_) if run.choices.keep_going => None,
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

/// What Kiali was given.
struct Given {
    secret: Applied,
    remotes: Vec<ClusterName>,
    /// It lost one of them before.
    was_cut_off: bool,
}

async fn give(
    run: &Run<'_>,
    home: &Scope<'_>,
    accesses: Vec<RemoteAccess>,
    before: Before,
) -> Result<Given> {
    let accesses = match run.choices.dry_run {
        true => accesses,
        false => reached(run, home, accesses).await?,
    };
    let secret = remote_secret::install(home, &accesses, before).await?;
    Ok(Given {
        secret,
        was_cut_off: accesses.iter().any(|access| access.was_cut_off),
        remotes: accesses.into_iter().map(|a| a.cluster).collect(),
    })
}

/// Those whose servers answer from the pod of the federating Prometheus, which stands where Kiali will.
async fn reached(
    run: &Run<'_>,
    home: &Scope<'_>,
    accesses: Vec<RemoteAccess>,
) -> Result<Vec<RemoteAccess>> {
    let pod = pods::ready(home, home.namespace, aggregate_metrics::PODS).await?;
    let pod = pod.context("no pod of the federating Prometheus is ready any more")?;
    let container = aggregate_metrics::CONTAINER;
    // One without metrics is no whole part of the view.
    let whole = |access: &RemoteAccess| !run.left_out.has(&access.cluster);
    let reached = accesses.into_iter().filter(whole).map(async |access| {
        let remote = run.mesh.remotes.iter().find(|r| r.name == access.cluster);
        let remote = remote.context("a remote of this mesh")?;
        let reached = remote_secret::reached_from_home(home, &pod, container, &access);
        let reached = run.unless_left_out(remote, reached).await?;
        anyhow::Ok(reached.map(|()| access))
    });
    let reached = try_join_all(reached).await?;
    Ok(reached.into_iter().flatten().collect())
}
