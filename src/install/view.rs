//! The view: rights in each remote, and the Kiali on home that uses them.

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};
use k8s_openapi::jiff::SignedDuration;

use super::Part;
use crate::guide::{ISTIO_NAMESPACE, Step};
use crate::k8s::apply::{Applied, Before, Outcome};
use crate::k8s::delete::Removed;
use crate::k8s::{Scope, kiali_cr, ownership, pods};
use crate::mesh::{Cluster, ClusterName};
use crate::run::{Run, step};
use crate::steps::remote_cluster::Remote;
use crate::steps::remote_secret::{AskingPod, InUse, Kubeconfig};
use crate::steps::{
    RemoteAccess, aggregate_metrics, cluster_prometheus, kiali, kiali_operator, remote_cluster,
    remote_secret,
};

/// A remote whose operator was asked for Kiali's rights.
pub struct Opening<'a> {
    pub cluster: &'a Cluster,
    remote: Remote,
    /// Its operator was replaced by this run.
    renewed: bool,
}

/// The tokens that Kiali uses, if the choice of a remote's token depends on them.
pub async fn in_use(run: &Run<'_>, home: &Part<'_>, remotes: &[Part<'_>]) -> Result<Option<InUse>> {
    let depends = |remote: &Part<'_>| {
        let scope = run.on(Step::RemoteCluster, remote.cluster);
        remote_cluster::token::depends_on_use(&scope)
    };
    if home.before == Before::Nothing || !remotes.iter().any(depends) {
        return Ok(None);
    }
    let names = remotes.iter().map(|remote| remote.cluster.name.clone());
    let names = names.collect::<Vec<_>>();
    let scope = run.on(Step::RemoteSecret, home.cluster);
    Ok(Some(remote_secret::in_use(&scope, &names).await?))
}

pub async fn ask_remote<'a>(
    run: &Run<'a>,
    part: &Part<'a>,
    in_use: Option<&InUse>,
) -> Result<Opening<'a>> {
    let Part { cluster, before } = *part;
    let renewed = operator(run, cluster, before).await?;
    let used = in_use.and_then(|in_use| in_use.as_written(&cluster.name));
    let remote = step(run, Step::RemoteCluster, cluster, async |scope| {
        let token = used.map(Kubeconfig::token);
        remote_cluster::install(&scope, before, token).await
    })
    .await?;
    Ok(Opening {
        cluster,
        remote,
        renewed,
    })
}

/// Waits until a remote can be accessed as Kiali will do it. That is before the operator there is done.
pub async fn access(run: &Run<'_>, opening: &Opening<'_>) -> Result<RemoteAccess> {
    step(run, Step::RemoteCluster, opening.cluster, async |scope| {
        // Some rights may exist already, and others only when the operator is done.
        if !opening.remote.is_whole {
            remote_cluster::settled(&scope, &opening.remote, opening.renewed).await?;
        }
        remote_cluster::granted(&scope).await?;
        remote_secret::prove(&scope, &opening.remote.access).await?;
        Ok(opening.remote.access.clone())
    })
    .await
}

/// Waits for a remote's operator, unless `access` does.
pub async fn settled(run: &Run<'_>, opening: &Opening<'_>) -> Result<()> {
    if !opening.remote.is_whole {
        return Ok(());
    }
    step(run, Step::RemoteCluster, opening.cluster, async |scope| {
        remote_cluster::settled(&scope, &opening.remote, opening.renewed).await
    })
    .await
}

/// Whether a Kiali of an earlier install queries something else than the options say. It goes on to do so until what
/// they say works.
pub async fn moves(run: &Run<'_>, home: &Part<'_>) -> Result<bool> {
    if home.before == Before::Nothing {
        return Ok(false);
    }
    let scope = run.on(Step::Kiali, home.cluster);
    let queried = kiali::queried(&scope).await.context(Step::Kiali)?;
    let wanted = kiali::to_query(&aggregate_metrics::url(run.namespace), run.settings);
    Ok(queried.is_some_and(|queried| queried != wanted))
}

/// The Kiali that home's operator was asked for.
pub struct AskedKiali {
    pub kiali: kiali::Asked,
    /// The operator was replaced by this run.
    renewed: bool,
}

/// Applies the Kiali CR. Kiali gets its remotes later.
pub async fn ask_kiali(run: &Run<'_>, home: &Part<'_>) -> Result<AskedKiali> {
    let renewed = operator(run, home.cluster, home.before).await?;
    let prometheus = aggregate_metrics::url(run.namespace);
    let kiali = step(run, Step::Kiali, home.cluster, async |scope| {
        kiali::apply(&scope, &prometheus, home.before).await
    })
    .await?;
    Ok(AskedKiali { kiali, renewed })
}

/// Waits for home's operator. Returns whether Kiali lacked rights for a while.
pub async fn made(run: &Run<'_>, home: &Part<'_>, asked: &AskedKiali) -> Result<bool> {
    step(run, Step::Kiali, home.cluster, async |scope| {
        kiali::settled(&scope, &asked.kiali.cr, asked.renewed).await
    })
    .await
}

/// Waits until Kiali serves with all its remotes.
pub async fn serving(
    run: &Run<'_>,
    home: &Part<'_>,
    asked: &AskedKiali,
    given: Given,
    cut_off: bool,
) -> Result<()> {
    step(run, Step::Kiali, home.cluster, async |scope| {
        let mut since = ownership::written_at(&given.secret.live);
        let restart = cut_off || given.was_cut_off;
        let restart = restart || kiali::has_old_files(&scope, &asked.kiali).await;
        if restart || outlived_rights(run, &scope, &given).await {
            since = kiali::restarted(&scope).await?.max(since);
        }
        let names = std::iter::once(home.cluster.name.clone()).chain(given.remotes);
        kiali::serving(&scope, since, &names.collect::<Vec<_>>(), &[]).await?;
        kiali::queries(&scope).await
    })
    .await
}

/// Once Kiali runs with the tokens of this install: deletes those left from a rotation, or of another kind.
pub async fn retire_tokens(run: &Run<'_>, opening: &Opening<'_>) -> Result<()> {
    let scope = run.on(Step::RemoteCluster, opening.cluster);
    let remote = &opening.remote;
    if remote.slot.expires && !run.choices.dry_run {
        remote_cluster::token::tell_end(&scope, &remote.access.token);
    }
    let others = remote_cluster::token::others(&scope, Some(remote.slot)).await?;
    for old in others {
        let id = old.slot.id(run.namespace);
        match remote_cluster::token::revoke(&scope, old.slot).await? {
            Removed::Deleted if !run.choices.dry_run => {
                if let Some(token) = old.token() {
                    let kubeconfig = remote_secret::of_access(&remote.access)?;
                    remote_secret::refused(&scope, &kubeconfig, &token).await?;
                }
                scope
                    .progress
                    .note(format!("{id} is deleted: Kiali no longer uses its token"));
            }
            Removed::Foreign | Removed::Kept => scope.progress.note(format!(
                "{id} is not ours and was left: its token is still valid, and Kiali does not use it"
            )),
            Removed::Deleted | Removed::Missing => {}
        }
    }
    Ok(())
}

/// Whether Kiali has run for longer than its rights in a cluster exist, as after an install that was interrupted while
/// the operators replaced them.
async fn outlived_rights(run: &Run<'_>, home: &Scope<'_>, given: &Given) -> bool {
    // A Kiali that is rolled with new remotes starts after all operators are done.
    if given.secret.outcome != Outcome::Unchanged {
        return false;
    }
    let bound = run
        .mesh
        .all()
        .filter(|cluster| run.is_home(cluster) || given.remotes.contains(&cluster.name));
    let bound =
        bound.map(async |cluster| kiali_cr::bound_for(&run.on(Step::RemoteCluster, cluster)).await);
    let (up, bound) = tokio::join!(kiali::up_for(home), join_all(bound));
    // Both ages are exact to a second.
    let bound = bound.into_iter().flatten().min();
    up.zip(bound)
        .is_some_and(|(up, bound)| up > bound + SignedDuration::from_secs(2))
}

/// Installs the operator. Returns whether it replaced an older one.
async fn operator(run: &Run<'_>, cluster: &Cluster, before: Before) -> Result<bool> {
    step(run, Step::KialiOperator, cluster, async |scope| {
        kiali_operator::install(&scope, before).await
    })
    .await
}

/// The remotes that Kiali got.
pub struct Given {
    secret: Applied,
    remotes: Vec<ClusterName>,
    /// Whether Kiali had lost one of them before.
    was_cut_off: bool,
}

/// Gives Kiali the remotes that can be reached from home.
pub async fn give(run: &Run<'_>, home: &Part<'_>, accesses: Vec<RemoteAccess>) -> Result<Given> {
    step(run, Step::RemoteSecret, home.cluster, async |scope| {
        let accesses = match run.choices.dry_run {
            true => accesses,
            false => reached(run, &scope, accesses).await?,
        };
        let secret = remote_secret::install(&scope, &accesses, home.before).await?;
        Ok(Given {
            secret,
            was_cut_off: accesses.iter().any(|access| access.was_cut_off),
            remotes: accesses.into_iter().map(|a| a.cluster).collect(),
        })
    })
    .await
}

/// The remotes whose API servers answer requests from a pod of home: that of the federating Prometheus, which is beside
/// Kiali, or else that of home's own Prometheus.
async fn reached(
    run: &Run<'_>,
    home: &Scope<'_>,
    accesses: Vec<RemoteAccess>,
) -> Result<Vec<RemoteAccess>> {
    let is_federated = home.settings.store.is_none();
    // Nothing is run in pods of others.
    let is_ours = is_federated
        || (home.cluster.prometheus.is_none() && cluster_prometheus::is_own(home).await);
    // A remote without metrics is left out of Kiali too.
    let whole = |access: &RemoteAccess| !run.left_out.has(&access.cluster);
    if !is_ours {
        home.progress.note(
            "no pod of ours runs in home, so whether its pods reach the remotes was not tried",
        );
        return Ok(accesses.into_iter().filter(whole).collect());
    }
    let (namespace, labels, container) = match home.settings.store {
        None => (
            home.namespace,
            aggregate_metrics::PODS,
            aggregate_metrics::CONTAINER,
        ),
        Some(_) => (
            ISTIO_NAMESPACE,
            cluster_prometheus::PODS,
            cluster_prometheus::CONTAINER,
        ),
    };
    let pod = pods::ready(home, namespace, labels).await?;
    let pod =
        pod.with_context(|| format!("no pod of Prometheus is ready any more in {namespace}"))?;
    let place = AskingPod {
        namespace,
        pod: &pod,
        container,
    };
    let reached = accesses.into_iter().filter(whole).map(async |access| {
        let remote = run.mesh.remotes.iter().find(|r| r.name == access.cluster);
        let remote = remote.context("a remote of this mesh")?;
        let reached = remote_secret::reached_from_home(home, place, &access);
        let reached = run.unless_left_out(remote, reached).await?;
        anyhow::Ok(reached.map(|()| access))
    });
    let reached = try_join_all(reached).await?;
    Ok(reached.into_iter().flatten().collect())
}
