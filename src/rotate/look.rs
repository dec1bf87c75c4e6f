//! The tokens of a remote before a rotation: which one Kiali uses, whether it is due, and what is left beside it.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::jiff::SignedDuration;

use super::Rotated;
use crate::age;
use crate::guide::Step;
use crate::k8s::Scope;
use crate::mesh::Cluster;
use crate::run::Run;
use crate::steps::remote_cluster::token::{self, Claims, Found, Slot};
use crate::steps::remote_secret::{InUse, Kubeconfig};

/// The tokens of one remote before the rotation.
pub struct Tokens<'a> {
    pub cluster: &'a Cluster,
    pub kubeconfig: &'a Kubeconfig,
    pub found: Vec<Found>,
    /// The Secret of the token that Kiali uses, if it is one that we know.
    pub in_use: Option<Slot>,
    /// Whether the token is replaced, and why.
    pub due: (bool, String),
}

impl Tokens<'_> {
    pub fn next(&self, run: &Run<'_>) -> Slot {
        Slot::next(run.settings, self.in_use)
    }

    /// Those that Kiali does not use, of ours.
    pub fn leftovers(&self) -> impl Iterator<Item = &Found> {
        let found = self.found.iter();
        found.filter(|found| found.is_ours && Some(found.slot) != self.in_use)
    }

    /// The result if nothing is done.
    pub fn kept(&self, run: &Run<'_>) -> Rotated {
        let slot = self.in_use.unwrap_or_else(|| self.next(run));
        Rotated {
            cluster: self.cluster.name.clone(),
            is_new: false,
            secret: slot.id(run.namespace),
            reason: self.due.1.clone(),
            removed: Vec::new(),
            left: Vec::new(),
            ends: Claims::of(self.kubeconfig.token()).ends,
        }
    }
}

/// Looks at the tokens of a remote. Fails if a rotation would be refused, before anything is written.
pub async fn look<'a>(
    run: &Run<'a>,
    remote: &'a Cluster,
    in_use: &'a InUse,
    if_older: Option<Duration>,
) -> Result<Tokens<'a>> {
    let home = run.on(Step::RemoteSecret, &run.mesh.home);
    let kubeconfig = in_use.to_change(&home, &remote.name)?;
    let scope = run.on(Step::RemoteCluster, remote);
    let found = token::all(&scope).await?;
    let used = found.iter().find(|found| found.is_of(kubeconfig.token()));
    let slot = used.map(|found| found.slot);
    let due = due(&scope, used, kubeconfig, if_older);
    let tokens = Tokens {
        cluster: remote,
        kubeconfig,
        in_use: slot,
        due,
        found,
    };
    let next = tokens.next(run);
    let is_taken = |found: &Found| found.slot == next && !found.is_ours;
    match tokens.due.0 && tokens.found.iter().any(is_taken) {
        true => Err(token::taken(&scope, next).into()),
        false => Ok(tokens),
    }
}

/// Whether a token is replaced, and why.
fn due(
    scope: &Scope<'_>,
    used: Option<&Found>,
    kubeconfig: &Kubeconfig,
    if_older: Option<Duration>,
) -> (bool, String) {
    let Some(used) = used else {
        return (true, "Kiali's token is in no Secret of the cluster".into());
    };
    let Some(age) = used.age(scope) else {
        return (true, "its age is not known".into());
    };
    let said = age::said(Duration::try_from(age).unwrap_or_default());
    if used.slot.expires != scope.settings.token_lifetime.is_some() {
        let kind = match used.slot.expires {
            true => "it has a lifetime, which the options no longer ask for",
            false => "it never ends, and the options ask for a lifetime",
        };
        return (true, kind.into());
    }
    if token::ends_within(kubeconfig.token(), scope.cluster.server_time(), 3) {
        return (true, format!("it is {said} old, and ends soon"));
    }
    let limit = if_older.map(|limit| (limit, SignedDuration::try_from(limit)));
    match limit {
        Some((limit, Ok(oldest))) if age < oldest => {
            let limit = age::flag(limit);
            (false, format!("it is {said} old, younger than {limit}"))
        }
        _ => (true, format!("it was {said} old")),
    }
}

/// What a rotation would do.
pub fn foreseen(run: &Run<'_>, tokens: &Tokens<'_>) -> Rotated {
    let namespace = run.namespace;
    let mut rotated = tokens.kept(run);
    let leftovers = tokens.leftovers().map(|found| found.slot.id(namespace));
    rotated.removed = leftovers.collect();
    if !tokens.due.0 {
        return rotated;
    }
    let used = tokens
        .found
        .iter()
        .find(|found| Some(found.slot) == tokens.in_use);
    match used {
        Some(used) if used.is_ours => rotated.removed.push(used.slot.id(namespace)),
        Some(used) => rotated.left.push(used.slot.id(namespace)),
        None => {}
    }
    Rotated {
        is_new: true,
        secret: tokens.next(run).id(namespace),
        ends: None,
        ..rotated
    }
}
