//! The token of Kiali's account in a remote. It is in a Secret, or bound to an empty one if it has a lifetime: it ends
//! with this Secret at the latest. There are two names for each kind, so that the next token is made beside the one that
//! Kiali uses. Which one that is, home's Secret decides; the others are left from a rotation.

mod claims;
mod issue;

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

#[cfg(test)]
pub use claims::tests::expiring;
pub use claims::{Claims, ends_within, tell_end};
pub use issue::{create, issued, taken, with_root_ca};

use crate::k8s::delete::{self, Removed};
use crate::k8s::record::Key;
use crate::k8s::{Scope, kinds, wait, write};
use crate::progress::ObjectId;
use crate::settings::Settings;

/// A name for the Secret of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub name: &'static str,
    /// Whether its token has a lifetime.
    pub expires: bool,
}

const fn slot(name: &'static str, expires: bool) -> Slot {
    Slot { name, expires }
}

pub const SLOTS: [Slot; 4] = [
    slot("kiali", false),
    slot("kiali-2", false),
    slot("kiali-expiring", true),
    slot("kiali-expiring-2", true),
];

impl Slot {
    /// Whether the options ask for a token of this kind.
    fn is_wanted(&self, settings: &Settings) -> bool {
        self.expires == settings.token_lifetime.is_some()
    }

    /// The one that a first install uses.
    pub fn first(settings: &Settings) -> Slot {
        let [lasting, _, expiring, _] = SLOTS;
        match settings.token_lifetime {
            Some(_) => expiring,
            None => lasting,
        }
    }

    /// The one for the token that replaces the token of another one.
    pub fn next(settings: &Settings, in_use: Option<Slot>) -> Slot {
        let mut free = SLOTS.into_iter().filter(|slot| Some(*slot) != in_use);
        let next = free.find(|slot| slot.is_wanted(settings));
        next.unwrap_or_else(|| Slot::first(settings))
    }

    pub fn id(&self, namespace: &str) -> ObjectId {
        ObjectId::new("Secret", namespace, self.name)
    }
}

/// One of these Secrets, as it is in the remote.
#[derive(Clone, Debug)]
pub struct Found {
    pub slot: Slot,
    /// Whether an install or a rotation created it.
    pub is_ours: bool,
    uid: String,
    /// By the server's clock, which nobody else sets.
    pub made: Option<Timestamp>,
    /// The token in it; None if the token is only bound to it.
    token: Option<SecretString>,
}

impl Found {
    /// Whether this is the Secret of the token.
    pub fn is_of(&self, token: &SecretString) -> bool {
        match &self.token {
            Some(own) => own.expose_secret() == token.expose_secret(),
            None => self.slot.expires && Claims::of(token).secret == Some(self.uid.clone()),
        }
    }

    pub fn token(&self) -> Option<SecretString> {
        self.token.clone()
    }

    pub fn age(&self, scope: &Scope<'_>) -> Option<SignedDuration> {
        Some(scope.cluster.server_time()?.duration_since(self.made?))
    }
}

/// The Secret that an install uses, and the token that stays.
pub struct Chosen {
    pub slot: Slot,
    /// A token with a lifetime that is in use and lasts.
    pub kept: Option<SecretString>,
}

/// Whether the choice depends on the token that Kiali uses.
pub fn depends_on_use(scope: &Scope<'_>) -> bool {
    scope.settings.token_lifetime.is_some()
        || recorded(scope).any(|slot| slot != Slot::first(scope.settings))
}

fn recorded(scope: &Scope<'_>) -> impl Iterator<Item = Slot> {
    let is_named = |slot: &Slot| {
        let entry = scope.record.entry(&key(scope, *slot).object());
        entry.is_some()
    };
    let named = SLOTS.into_iter().filter(is_named);
    named.collect::<Vec<_>>().into_iter()
}

fn key(scope: &Scope<'_>, slot: Slot) -> Key {
    Key {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some(scope.namespace.into()),
        name: slot.name.into(),
    }
}

/// Keeps the Secret whose token Kiali uses, unless the options ask for another kind or half of its life is over.
pub async fn chosen(scope: &Scope<'_>, in_use: Option<&SecretString>) -> Result<Chosen> {
    let settings = scope.settings;
    let new = |slot| Chosen { slot, kept: None };
    if !depends_on_use(scope) {
        return Ok(new(Slot::first(settings)));
    }
    let found = look(scope, recorded(scope)).await?;
    let Some(token) = in_use else {
        let mut there = found.iter().map(|found| found.slot);
        let there = there.find(|slot| slot.is_wanted(settings));
        return Ok(new(there.unwrap_or_else(|| Slot::first(settings))));
    };
    let Some(used) = found.iter().find(|found| found.is_of(token)) else {
        return Ok(new(Slot::next(settings, None)));
    };
    let ends = ends_within(token, scope.cluster.server_time(), 2);
    if !used.slot.is_wanted(settings) || ends {
        return Ok(new(Slot::next(settings, Some(used.slot))));
    }
    Ok(Chosen {
        slot: used.slot,
        kept: used.slot.expires.then(|| token.clone()),
    })
}

/// All of these Secrets in the remote, whoever made them.
pub async fn all(scope: &Scope<'_>) -> Result<Vec<Found>> {
    look(scope, SLOTS.into_iter()).await
}

/// Those in the record besides the one in use. What a run recorded that ended before it created it, or after it
/// deleted it, is dropped from the record.
pub async fn others(scope: &Scope<'_>, in_use: Option<Slot>) -> Result<Vec<Found>> {
    let others = recorded(scope).filter(|slot| Some(*slot) != in_use);
    let others = others.collect::<Vec<_>>();
    let found = look(scope, others.iter().copied()).await?;
    for slot in others {
        if found.iter().all(|found| found.slot != slot) {
            scope.record.forget(&key(scope, slot));
        }
    }
    Ok(found)
}

async fn look(scope: &Scope<'_>, slots: impl Iterator<Item = Slot>) -> Result<Vec<Found>> {
    let looked = slots.map(async |slot| {
        let (key, id) = (key(scope, slot), slot.id(scope.namespace));
        let live = write::read(scope, &key.object(), &id).await?;
        anyhow::Ok(live.map(|live| found(scope, slot, &live)))
    });
    let looked = try_join_all(looked).await?;
    Ok(looked.into_iter().flatten().collect())
}

fn found(scope: &Scope<'_>, slot: Slot, live: &Value) -> Found {
    let secret = serde_json::from_value::<Secret>(live.clone()).unwrap_or_default();
    let token = secret.data.unwrap_or_default().remove("token");
    let token = token.and_then(|ByteString(bytes)| String::from_utf8(bytes).ok());
    let made = secret.metadata.creation_timestamp.map(|time| time.0);
    Found {
        slot,
        is_ours: scope.record.is_ours(live) || scope.record.made(live),
        uid: secret.metadata.uid.unwrap_or_default(),
        made,
        token: token.filter(|t| !t.is_empty()).map(SecretString::from),
    }
}

/// Deletes the Secret, and with it its token. Waits until it is gone. One that the record does not name is left.
pub async fn revoke(scope: &Scope<'_>, slot: Slot) -> Result<Removed> {
    let object = key(scope, slot).object();
    if scope.record.entry(&object).is_none() {
        return Ok(Removed::Foreign);
    }
    let removed = delete::delete(scope, &object).await?;
    if removed == Removed::Deleted {
        wait::until_gone(scope, &kinds::of(&object)?, slot.id(scope.namespace)).await?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_token_is_made_beside_the_one_in_use() {
        let lasting = Settings::default();
        let expiring = Settings {
            token_lifetime: Some(std::time::Duration::from_secs(3600)),
            ..Settings::default()
        };
        let next = |settings, in_use: Option<usize>| {
            Slot::next(settings, in_use.map(|number| SLOTS[number])).name
        };
        assert_eq!(next(&lasting, None), "kiali");
        assert_eq!(next(&lasting, Some(0)), "kiali-2");
        assert_eq!(next(&lasting, Some(1)), "kiali");
        assert_eq!(next(&lasting, Some(2)), "kiali");
        assert_eq!(next(&expiring, Some(1)), "kiali-expiring");
        assert_eq!(next(&expiring, Some(2)), "kiali-expiring-2");
        assert_eq!(next(&expiring, Some(3)), "kiali-expiring");
    }

    #[test]
    fn a_secret_is_told_from_another_by_its_token() {
        let secret = |slot: usize, uid: &str, token: Option<&str>| Found {
            slot: SLOTS[slot],
            is_ours: true,
            uid: uid.into(),
            made: None,
            token: token.map(SecretString::from),
        };
        let lasting = SecretString::from("a.b.c");
        assert!(secret(0, "s1", Some("a.b.c")).is_of(&lasting));
        assert!(!secret(0, "s1", Some("a.b.d")).is_of(&lasting));
        assert!(!secret(0, "s1", None).is_of(&lasting));
        assert!(secret(2, "s1", None).is_of(&expiring()));
        assert!(!secret(2, "s2", None).is_of(&expiring()));
        // A Secret for a lasting token that is not filled yet has none.
        assert!(!secret(0, "s1", None).is_of(&expiring()));
    }
}
