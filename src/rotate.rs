//! `rotate`: gives Kiali a new token for each remote. The new one is made and proven beside the old one, all are given to
//! Kiali in one write, and the old ones are deleted once Kiali runs without them, and proven refused. At every moment
//! the records name each Secret, and home's Secret decides which one is in use: the next run, of this command or of an
//! install, removes the others.

pub mod certificates;
mod look;

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::jiff::Timestamp;

use self::certificates::RotatedCertificate;
use self::look::{Tokens, foreseen, look};
use crate::guide::Step;
use crate::k8s::delete::Removed;
use crate::k8s::ownership;
use crate::k8s::record::{self, Found as Record};
use crate::last_install;
use crate::mesh::{Cluster, ClusterName};
use crate::options::TOKEN_LIFETIME;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::run::{Run, on_all, step};
use crate::steps::kiali;
use crate::steps::remote_cluster::token::{self, Claims, Found};
use crate::steps::remote_secret::{self, InUse, Kubeconfig};

/// What became of the token of one remote, or would.
#[derive(Debug)]
pub struct Rotated {
    pub cluster: ClusterName,
    /// Whether it is a new one.
    pub is_new: bool,
    /// The Secret of the token that Kiali uses now.
    pub secret: ObjectId,
    /// Why it was replaced, or kept.
    pub reason: String,
    /// Secrets that were deleted; their tokens are refused.
    pub removed: Vec<ObjectId>,
    /// Secrets of others whose tokens Kiali no longer uses, and which are still valid.
    pub left: Vec<ObjectId>,
    /// When the token ends; None if it never does.
    pub ends: Option<Timestamp>,
}

/// What became of the tokens and certificates.
#[derive(Debug)]
pub struct AllRotated {
    pub tokens: Vec<Rotated>,
    pub certificates: Vec<RotatedCertificate>,
}

/// Replaces the tokens of all remotes of this run, and with `certificates` also the certificates, or only what is older
/// than `if_older`.
pub async fn rotate(
    run: &Run<'_>,
    if_older: Option<Duration>,
    certificates: bool,
) -> Result<AllRotated> {
    on_all(run.mesh.all().map(|cluster| open(run, cluster))).await?;
    // Before the first write, because it may be refused.
    let rotation = match certificates {
        true => Some(certificates::look(run, if_older).await?),
        false => None,
    };
    let tokens = tokens(run, if_older).await?;
    let certificates = match &rotation {
        Some(rotation) => rotation.turn().await,
        None => Ok(Vec::new()),
    };
    // Also after an error, so that the record names what was written.
    if !run.choices.dry_run {
        let recorded = run
            .mesh
            .all()
            .map(async |cluster| record::keep(&run.on(Step::Namespace, cluster)).await);
        try_join_all(recorded).await?;
    }
    Ok(AllRotated {
        tokens,
        certificates: certificates?,
    })
}

async fn tokens(run: &Run<'_>, if_older: Option<Duration>) -> Result<Vec<Rotated>> {
    let home = &run.mesh.home;
    let names = run.mesh.remotes.iter().map(|remote| remote.name.clone());
    let names = names.collect::<Vec<_>>();
    let scope = run.on(Step::RemoteSecret, home);
    let in_use = remote_secret::in_use(&scope, &names).await?;
    let remotes = run.mesh.remotes.iter();
    let looked = remotes.map(|remote| look(run, remote, &in_use, if_older));
    let looked = try_join_all(looked).await?;
    if run.choices.dry_run {
        return Ok(looked.iter().map(|tokens| foreseen(run, tokens)).collect());
    }
    remember(run).await?;
    let mut rotated = clear(run, &in_use, &looked).await?;
    renew(run, &in_use, &looked, &mut rotated).await?;
    Ok(rotated)
}

/// Opens the record of a cluster. Without one, nothing is installed.
async fn open(run: &Run<'_>, cluster: &Cluster) -> Result<()> {
    let scope = run.on(Step::Namespace, cluster);
    let found = record::open_to_write(&scope).await?;
    if found == Record::Nothing {
        let cause = format!("{}: nothing is installed here", cluster.name);
        let problem = Problem::new(Exit::Preflight, cause);
        return Err(problem.fix("run ambikiali install first").into());
    }
    if let Some(said) = found.said() {
        scope.progress.note(said);
    }
    Ok(())
}

/// Remembers the option on this machine and in home's record, which goes on to name all remotes.
async fn remember(run: &Run<'_>) -> Result<()> {
    let scope = run.on(Step::Namespace, &run.mesh.home);
    let home = &run.mesh.home;
    if let Err(error) = last_install::remember_option(home, TOKEN_LIFETIME, run.options) {
        scope.progress.note(format!(
            "cannot remember the options, so pass --token-lifetime to the next commands too: {error:#}"
        ));
    }
    scope.record.go_on_with(run.mesh.remotes.iter());
    record::choose(&scope, run.options).await
}

/// Removes what an interrupted rotation left, once no Kiali runs that may use it.
async fn clear(run: &Run<'_>, in_use: &InUse, all: &[Tokens<'_>]) -> Result<Vec<Rotated>> {
    let home = &run.mesh.home;
    if all.iter().any(|tokens| tokens.leftovers().next().is_some()) {
        step(run, Step::Kiali, home, async |scope| {
            kiali::rolled(&scope, in_use.written_at()).await?;
            scope
                .progress
                .done("runs without the tokens left from an interrupted rotation");
            Ok(())
        })
        .await?;
    }
    let cleared = all.iter().map(async |tokens| {
        let mut rotated = tokens.kept(run);
        for old in tokens.leftovers() {
            retire(run, tokens, tokens.kubeconfig, old, &mut rotated).await?;
        }
        // Names of Secrets that were never created, or are gone already.
        let scope = run.on(Step::RemoteCluster, tokens.cluster);
        token::others(&scope, tokens.in_use).await?;
        anyhow::Ok(rotated)
    });
    try_join_all(cleared).await
}

/// Replaces the tokens that are due.
async fn renew(
    run: &Run<'_>,
    in_use: &InUse,
    all: &[Tokens<'_>],
    rotated: &mut [Rotated],
) -> Result<()> {
    let due = all.iter().zip(rotated).filter(|(tokens, _)| tokens.due.0);
    let due = due.collect::<Vec<_>>();
    if due.is_empty() {
        return Ok(());
    }
    let made = due.iter().map(async |(tokens, _)| {
        let name = tokens.cluster.name.clone();
        anyhow::Ok((name, new_token(run, tokens).await?))
    });
    let made = try_join_all(made).await?;
    give(run, in_use, &made).await?;
    let finished = due
        .into_iter()
        .zip(&made)
        .map(async |((tokens, rotated), (_, new))| {
            rotated.is_new = true;
            rotated.secret = tokens.next(run).id(run.namespace);
            rotated.ends = Claims::of(new.token()).ends;
            let old = tokens.found.iter();
            let old = old.filter(|found| Some(found.slot) == tokens.in_use);
            for old in old {
                retire(run, tokens, new, old, rotated).await?;
            }
            anyhow::Ok(())
        });
    try_join_all(finished).await?;
    Ok(())
}

/// Makes a new token for a remote, and proves the kubeconfig that Kiali will get.
async fn new_token(run: &Run<'_>, tokens: &Tokens<'_>) -> Result<Kubeconfig> {
    let slot = tokens.next(run);
    step(run, Step::RemoteCluster, tokens.cluster, async |scope| {
        let token = token::create(&scope, slot).await?;
        let kubeconfig = tokens.kubeconfig.with_token(&token)?;
        remote_secret::prove_new(&scope, &kubeconfig).await?;
        let id = slot.id(scope.namespace);
        scope.progress.done(format!("new token in {id}, proven"));
        if slot.expires {
            token::tell_end(&scope, &token);
        }
        Ok(kubeconfig)
    })
    .await
}

/// Gives the new tokens to Kiali, and waits until it serves with them. The old pod serves until then.
async fn give(run: &Run<'_>, in_use: &InUse, new: &[(ClusterName, Kubeconfig)]) -> Result<()> {
    let home = &run.mesh.home;
    step(run, Step::Kiali, home, async |scope| {
        kiali::kept_serving(&scope).await
    })
    .await?;
    let secret = step(run, Step::RemoteSecret, home, async |scope| {
        remote_secret::swap(&scope, in_use, new).await
    })
    .await?;
    step(run, Step::Kiali, home, async |scope| {
        let since = ownership::written_at(&secret.live);
        let names = std::iter::once(&home.name).chain(new.iter().map(|(name, _)| name));
        let names = names.cloned().collect::<Vec<_>>();
        kiali::serving(&scope, since, &names, &[]).await
    })
    .await
}

/// Deletes an old token of a remote, and waits until the server that Kiali uses refuses it.
async fn retire(
    run: &Run<'_>,
    tokens: &Tokens<'_>,
    working: &Kubeconfig,
    old: &Found,
    rotated: &mut Rotated,
) -> Result<()> {
    let id = old.slot.id(run.namespace);
    step(run, Step::RemoteCluster, tokens.cluster, async |scope| {
        match token::revoke(&scope, old.slot).await? {
            Removed::Foreign | Removed::Kept => {
                scope
                    .progress
                    .done(format!("{id} is not ours and was left"));
                rotated.left.push(id);
            }
            Removed::Deleted | Removed::Missing => {
                let in_use = Some(old.slot) == tokens.in_use;
                let used = in_use.then(|| tokens.kubeconfig.token().clone());
                let said = match old.token().or(used) {
                    Some(token) => {
                        remote_secret::refused(&scope, working, &token).await?;
                        "its token is refused"
                    }
                    None => "its token ends with it",
                };
                scope.progress.done(format!("{id} is deleted, and {said}"));
                rotated.removed.push(id);
            }
        }
        Ok(())
    })
    .await
}
