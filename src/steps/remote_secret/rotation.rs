//! Replaces the token in the kubeconfig of a remote. The rest of the kubeconfig stays as an install wrote it: a server
//! or CA that somebody else put there gets no new token.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::proof::{self, Answer, answer};
use super::{NAME, fits, object};
use crate::k8s::apply::{self, Applied, Before};
use crate::k8s::health::Health;
use crate::k8s::{Scope, ownership, record, wait, write};
use crate::manifests;
use crate::mesh::{ClusterName, RemoteKubeconfig};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

/// How long API servers may accept a deleted token, from their caches.
const CACHED: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);

/// The kubeconfigs that Kiali has.
pub struct InUse {
    live: Value,
    kubeconfigs: BTreeMap<String, Result<Kubeconfig, String>>,
    /// Whether they are as an install or a rotation wrote them.
    is_as_written: bool,
}

/// A kubeconfig of the Secret that Kiali may use.
#[derive(Clone)]
pub struct Kubeconfig {
    /// Contains the token.
    text: SecretString,
    parsed: RemoteKubeconfig,
}

impl Kubeconfig {
    fn read(text: &[u8]) -> Result<Kubeconfig, String> {
        let parsed = RemoteKubeconfig::read(text)?;
        let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
        Ok(Kubeconfig {
            text: SecretString::from(text),
            parsed,
        })
    }

    pub fn token(&self) -> &SecretString {
        self.parsed.token()
    }

    /// The same text with another token.
    pub fn with_token(&self, token: &SecretString) -> Result<Kubeconfig> {
        let mut config: Value = manifests::from_yaml(self.text.expose_secret())?;
        let place = config.pointer_mut("/users/0/user/token");
        *place.context("a kubeconfig with a token")? = json!(token.expose_secret());
        let text = manifests::to_yaml(&config)?;
        Kubeconfig::read(text.as_bytes()).map_err(anyhow::Error::msg)
    }
}

impl InUse {
    /// The kubeconfig of a remote; None if Kiali has none that it may use.
    pub fn get(&self, remote: &ClusterName) -> Option<&Kubeconfig> {
        self.kubeconfigs.get(remote.as_str())?.as_ref().ok()
    }

    /// The same, unless somebody has changed the Secret since an install or a rotation wrote it.
    pub fn as_written(&self, remote: &ClusterName) -> Option<&Kubeconfig> {
        self.get(remote).filter(|_| self.is_as_written)
    }

    /// When the Secret was last written, by the server's clock.
    pub fn written_at(&self) -> Option<Time> {
        ownership::written_at(&self.live)
    }

    /// The kubeconfig of a remote that a rotation may change. The error tells why there is none.
    pub fn to_change(
        &self,
        home: &Scope<'_>,
        remote: &ClusterName,
    ) -> Result<&Kubeconfig, Problem> {
        let secret = format!("Secret {}/{NAME}", home.namespace);
        let cause = match self.kubeconfigs.get(remote.as_str()) {
            None => format!("{secret} has no kubeconfig for {remote}"),
            Some(Err(why)) => format!("{secret}: the kubeconfig of {remote} is unusable: {why}"),
            Some(Ok(_)) if !self.is_as_written => format!(
                "{secret} is not as the last install wrote it, so somebody may have put another server into it, which would get the new token"
            ),
            Some(Ok(kubeconfig)) => return Ok(kubeconfig),
        };
        let cause = format!("{}: {cause}; nothing was done", home.cluster.name);
        Err(Problem::new(Exit::Preflight, cause)
            .fix("run ambikiali install with the same clusters and flags, which writes it again, then ambikiali rotate"))
    }
}

/// The kubeconfigs of these remotes in home's Secret. The record must be open to judge whether they may be changed.
pub async fn in_use(home: &Scope<'_>, remotes: &[ClusterName]) -> Result<InUse> {
    let name = object(home.namespace, &[])?;
    let id = ObjectId::new("Secret", home.namespace, NAME);
    let live = write::read(home, &name, &id).await?.unwrap_or_default();
    let held = |remote: &ClusterName| {
        let data = live["data"].get(remote.as_str())?.as_str()?;
        let text = STANDARD.decode(data).ok()?;
        Some((remote.to_string(), Kubeconfig::read(&text)))
    };
    let kubeconfigs = remotes.iter().filter_map(held).collect();
    let wanted = wanted(home, &live)?;
    Ok(InUse {
        is_as_written: home.record.is_ours(&live) && home.record.was_written(&wanted),
        kubeconfigs,
        live,
    })
}

/// The manifest of the Secret as it is, with all remotes of the record.
fn wanted(home: &Scope<'_>, live: &Value) -> Result<Value> {
    let mut wanted = object(home.namespace, &[])?;
    for (remote, _) in home.record.remotes() {
        if let Some(held) = live["data"].get(remote.as_str()) {
            wanted["data"][remote.as_str()] = held.clone();
        }
    }
    Ok(wanted)
}

/// Gives Kiali new kubeconfigs, in one write, so that it is rolled once. The record knows the new contents before they
/// are written, so that the next run recognises them even if this one ends in between.
pub async fn swap(
    home: &Scope<'_>,
    in_use: &InUse,
    new: &[(ClusterName, Kubeconfig)],
) -> Result<Applied> {
    let mut wanted = wanted(home, &in_use.live)?;
    for (remote, kubeconfig) in new {
        let text = STANDARD.encode(kubeconfig.text.expose_secret());
        wanted["data"][remote.as_str()] = json!(text);
    }
    fits(home.cluster, &wanted)?;
    record::announce(home, &wanted).await?;
    let applied = apply::apply(home, &wanted, Before::Unknown).await?;
    let names = new.iter().map(|(remote, _)| remote.to_string());
    let names = names.collect::<Vec<_>>().join(", ");
    home.progress.done(format!("new token for {names}"));
    Ok(applied)
}

/// Waits until the kubeconfig works, which has a token that was just issued.
pub async fn prove_new(remote: &Scope<'_>, kubeconfig: &Kubeconfig) -> Result<()> {
    let proven = proof::proven(remote, &kubeconfig.parsed).await;
    proven.map_err(|refusal| {
        let cluster = &remote.cluster.name;
        let cause = format!(
            "{cluster}: the new token does not work at {}: {}; it was not given to Kiali, which goes on with the old one",
            kubeconfig.parsed.server(),
            refusal.cause()
        );
        let fix = "if the address of its API server has changed, run ambikiali install, then run the same command again";
        Problem::new(Exit::Unreachable, cause).fix(fix).into()
    })
}

/// Waits until the API server refuses a token whose Secret was deleted.
pub async fn refused(
    remote: &Scope<'_>,
    kubeconfig: &Kubeconfig,
    old: &SecretString,
) -> Result<()> {
    let old = kubeconfig.parsed.with_token(old.clone());
    let object = ObjectId::new("ServiceAccount", remote.namespace, super::ACCOUNT);
    let asked = wait::poll(remote, &object, CACHED, async || {
        match answer(&old, PATIENCE).await {
            // 401: the server does not know the token.
            Err(Answer::Unknown(_)) => Health::Ready,
            Ok(()) | Err(Answer::Refused(_)) => {
                Health::InProgress("the old token is still accepted".into())
            }
            Err(Answer::Unusable(cause)) => Health::InProgress(cause),
        }
    });
    asked.await.map_err(|why| {
        let cause = format!(
            "{}: the Secret of the old token was deleted, but within {} s its API server did not refuse the token: {why}",
            remote.cluster.name,
            CACHED.as_secs()
        );
        let fix = format!(
            "Kiali uses the new token; find out why the API server accepts tokens without their Secret: {} -n {} get secrets",
            remote.cluster.kubectl, remote.namespace
        );
        Problem::new(Exit::TimedOut, cause).fix(fix).into()
    })
}

/// The kubeconfig that an install gives to Kiali.
pub fn of_access(access: &super::RemoteAccess) -> Result<Kubeconfig> {
    let text = super::kubeconfig(access)?;
    Kubeconfig::read(text.as_bytes()).map_err(anyhow::Error::msg)
}
