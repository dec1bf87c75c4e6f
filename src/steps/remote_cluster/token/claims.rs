//! What a token says about itself: its account, its end and the Secret that it is bound to.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::age;
use crate::code::Code;
use crate::k8s::Scope;

/// What a token says about itself. Nothing here is checked, so this only helps to choose among our own Secrets, and
/// whatever is chosen is proven by its use.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Claims {
    pub begins: Option<Timestamp>,
    pub ends: Option<Timestamp>,
    /// UID of the Secret that it is bound to.
    pub(super) secret: Option<String>,
    /// UID of its account.
    pub(super) account: Option<String>,
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn token(payload: &Value) -> SecretString {
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        SecretString::from(format!("eyJhbGciOiJSUzI1NiJ9.{payload}.c2ln"))
    }

    /// Bound to a Secret with UID `s1`.
    pub fn expiring() -> SecretString {
        let secret = json!({"name": "kiali-expiring", "uid": "s1"});
        let bound = json!({"secret": secret, "serviceaccount": {"name": "a", "uid": "a1"}});
        token(&json!({"iat": 1000, "exp": 4600, "kubernetes.io": bound}))
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
