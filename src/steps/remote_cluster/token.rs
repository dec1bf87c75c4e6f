//! The token of Kiali's account in a remote. It is in a Secret, or bound to an empty one if it has a lifetime: it ends
//! with this Secret at the latest. There are two names for each kind, so that the next token is made beside the one that
//! Kiali uses. Which one that is, home's Secret decides; the others are left from a rotation.

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::try_join_all;
use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::PostParams;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use crate::age;
use crate::code::Code;
use crate::k8s::apply::{self, Before, Claim};
use crate::k8s::delete::{self, Removed};
use crate::k8s::health::{self, Health};
use crate::k8s::kiali_cr::ACCOUNT;
use crate::k8s::record::Key;
use crate::k8s::request::{change, send};
use crate::k8s::wait::{self, Wait};
use crate::k8s::{Scope, kinds, write};
use crate::problem::{Exit, Problem};
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

/// What a token says about itself. Nothing here is checked, so this only helps to choose among our own Secrets, and
/// whatever is chosen is proven by its use.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claims {
    pub begins: Option<Timestamp>,
    pub ends: Option<Timestamp>,
    /// UID of the Secret that it is bound to.
    secret: Option<String>,
    /// UID of its account.
    account: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    iat: Option<i64>,
    exp: Option<i64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Bound>,
}

#[derive(Deserialize)]
struct Bound {
    secret: Option<Reference>,
    serviceaccount: Option<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    uid: String,
}

impl Claims {
    pub fn of(token: &SecretString) -> Claims {
        let payload = token.expose_secret().split('.').nth(1).unwrap_or_default();
        let payload = URL_SAFE_NO_PAD.decode(payload).unwrap_or_default();
        let Ok(payload) = serde_json::from_slice::<Payload>(&payload) else {
            return Claims::default();
        };
        let time = |seconds: Option<i64>| Timestamp::from_second(seconds?).ok();
        let (secret, account) = payload
            .kubernetes
            .map_or((None, None), |bound| (bound.secret, bound.serviceaccount));
        Claims {
            begins: time(payload.iat),
            ends: time(payload.exp),
            secret: secret.map(|reference| reference.uid),
            account: account.map(|reference| reference.uid),
        }
    }

    /// How much of its life is left, and how long that is in all; None without an end.
    pub fn left(&self, now: Timestamp) -> Option<(SignedDuration, SignedDuration)> {
        let (begins, ends) = (self.begins?, self.ends?);
        Some((ends.duration_since(now), ends.duration_since(begins)))
    }
}

/// Tells when a token ends, and what must run before that.
pub fn tell_end(scope: &Scope<'_>, token: &SecretString) {
    let claims = Claims::of(token);
    let Some((begins, ends)) = claims.begins.zip(claims.ends) else {
        return;
    };
    let whole = Duration::try_from(ends.duration_since(begins)).unwrap_or_default();
    let (half, often) = (age::said(whole / 2), age::said(whole / 3));
    let half_flag = age::flag(Duration::from_secs(whole.as_secs() / 2));
    scope.progress.note(format!(
        "[{}] the token ends at {ends}, and Kiali loses the cluster then: have \"ambikiali rotate --if-older {half_flag}\" run at least every {often}, which replaces it after {half}",
        Code::TokenEndsSoon
    ));
}

/// Whether less than one in this many parts of its life is left.
pub fn ends_within(token: &SecretString, now: Option<Timestamp>, part: i32) -> bool {
    let left = now.and_then(|now| Claims::of(token).left(now));
    left.is_some_and(|(left, whole)| left < whole / part)
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
        let there = found.iter().map(|found| found.slot);
        let there = there.filter(|slot| slot.is_wanted(settings)).next();
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

/// The token and the CA of a Secret that exists, as a filled Secret has them. `kept` is a token that stays.
pub async fn issued(
    scope: &Scope<'_>,
    chosen: &Chosen,
    secret: &Value,
    account: &str,
) -> Result<Secret> {
    if !chosen.slot.expires {
        return filled(scope, chosen.slot, secret, account).await;
    }
    let is_current = |token: &&SecretString| Claims::of(token).account.as_deref() == Some(account);
    let token = match chosen.kept.as_ref().filter(is_current) {
        Some(token) => token.clone(),
        None => requested(scope, chosen.slot, secret).await?,
    };
    with_root_ca(scope, &token).await
}

/// A token with a lifetime and the CA, in the form of a filled Secret.
pub async fn with_root_ca(scope: &Scope<'_>, token: &SecretString) -> Result<Secret> {
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    let data = [
        ("token".to_string(), bytes(token.expose_secret())),
        ("ca.crt".to_string(), bytes(&root_ca(scope).await?)),
    ];
    Ok(Secret {
        data: Some(data.into()),
        ..Secret::default()
    })
}

/// Waits until the token controller has filled the Secret.
async fn filled(scope: &Scope<'_>, slot: Slot, secret: &Value, account: &str) -> Result<Secret> {
    let advice = format!(
        "its serviceaccount-token-controller must run: {} -n kube-system get pods -l component=kube-controller-manager",
        scope.cluster.kubectl
    );
    let wait = Wait {
        seen: serde_json::from_value(secret.clone()).ok(),
        advice: &advice,
        ..Wait::for_object(super::secrets(scope), slot.id(scope.namespace))
    };
    let filled = |secret: Option<&Secret>| health::token(secret, Some(account));
    let secret = wait::until(scope, wait, filled).await?;
    secret.context("a filled Secret is there")
}

/// A new token that ends with its Secret, or after the lifetime of the options.
async fn requested(scope: &Scope<'_>, slot: Slot, secret: &Value) -> Result<SecretString> {
    let lifetime = scope.settings.token_lifetime.context("it has a lifetime")?;
    let uid = secret["metadata"]["uid"].as_str().map(Into::into);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Secret".into()),
                name: Some(slot.name.into()),
                uid,
            }),
            expiration_seconds: i64::try_from(lifetime.as_secs()).ok(),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let api: Api<ServiceAccount> = super::accounts(scope);
    let id = ObjectId::new("ServiceAccount", scope.namespace, ACCOUNT);
    let params = PostParams::default();
    let ask = || api.create_token_request(ACCOUNT, &params, &request);
    let answer = change(scope, &id, ask).await??;
    let token = answer
        .status
        .and_then(|status| status.token)
        .unwrap_or_default();
    Ok(SecretString::from(token))
}

/// The root CA of the cluster, which each namespace has.
async fn root_ca(scope: &Scope<'_>) -> Result<String> {
    let api = Api::<ConfigMap>::namespaced(scope.cluster.client.clone(), scope.namespace);
    let id = ObjectId::new("ConfigMap", scope.namespace, ROOT_CA);
    let text = |map: &ConfigMap| map.data.as_ref()?.get("ca.crt").cloned();
    let map = wait::until(
        scope,
        Wait::for_object(api, id),
        |map: Option<&ConfigMap>| match map.and_then(text) {
            Some(_) => Health::Ready,
            None => Health::InProgress("the controller has not published it yet".into()),
        },
    );
    map.await?.as_ref().and_then(text).context("a root CA")
}

const ROOT_CA: &str = "kube-root-ca.crt";

/// Creates the Secret for a token that replaces another one, and returns this token. Fails if the name is taken:
/// nothing that exists is changed.
pub async fn create(scope: &Scope<'_>, slot: Slot) -> Result<SecretString> {
    let object = super::secret(scope.namespace, slot)?;
    let id = slot.id(scope.namespace);
    let secret = match apply::claim(scope, &object, Before::Nothing).await? {
        Claim::Created(live) => live,
        Claim::Ours(_) | Claim::Foreign(_) => return Err(taken(scope, slot).into()),
    };
    let chosen = Chosen { slot, kept: None };
    let account = super::accounts(scope);
    let of = ObjectId::new("ServiceAccount", scope.namespace, ACCOUNT);
    let account = send(scope, &of, || account.get(ACCOUNT)).await?;
    let account = account.metadata.uid.unwrap_or_default();
    let data = issued(scope, &chosen, &secret, &account).await?.data;
    let token = data.and_then(|mut data| data.remove("token"));
    let ByteString(token) = token.with_context(|| format!("{id} without a token"))?;
    let token = String::from_utf8(token).with_context(|| format!("{id}: no text"))?;
    Ok(SecretString::from(token))
}

/// The error for a Secret of others with a name that a new token needs.
pub fn taken(scope: &Scope<'_>, slot: Slot) -> Problem {
    let (cluster, namespace) = (scope.cluster, scope.namespace);
    let cause = format!(
        "{}: {} already exists and was not created by ambikiali, which needs its name for the new token; it was not changed",
        cluster.name,
        slot.id(namespace)
    );
    Problem::new(Exit::Conflict, cause).fix(format!(
        "inspect it, and remove it if nothing uses it: {} -n {namespace} get secret {} -o yaml",
        cluster.kubectl, slot.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(payload: &Value) -> SecretString {
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        SecretString::from(format!("eyJhbGciOiJSUzI1NiJ9.{payload}.c2ln"))
    }

    fn expiring() -> SecretString {
        let secret = json!({"name": "kiali-expiring", "uid": "s1"});
        let bound = json!({"secret": secret, "serviceaccount": {"name": "a", "uid": "a1"}});
        token(&json!({"iat": 1000, "exp": 4600, "kubernetes.io": bound}))
    }

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
    fn a_token_names_its_secret_and_its_end() {
        let claims = Claims::of(&expiring());
        assert_eq!(claims.secret.as_deref(), Some("s1"));
        assert_eq!(claims.account.as_deref(), Some("a1"));
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(claims.ends, Some(at(4600)));
        assert!(!ends_within(&expiring(), Some(at(2000)), 2));
        assert!(ends_within(&expiring(), Some(at(2900)), 2));
        assert!(!ends_within(&expiring(), None, 2));
        let lasting = token(&json!({"iss": "kubernetes/serviceaccount"}));
        assert!(!ends_within(&lasting, Some(at(2900)), 2));
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

    #[test]
    fn whatever_a_token_says_is_read_or_refused() {
        let payload = r#"{"iat": 1, "exp": 2, "kubernetes.io": {"secret": {"uid": "u"}}}"#;
        crate::fuzz::fuzz("token", &[payload, "{}"], |input| {
            let payload = URL_SAFE_NO_PAD.encode(input);
            let _ = Claims::of(&SecretString::from(format!("a.{payload}.c")));
            let text = String::from_utf8_lossy(input).into_owned();
            let _ = Claims::of(&SecretString::from(text));
        });
    }
}
