//! What `status` tells of the token: which Secret it is in, its age and its end, and Secrets left from a rotation.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::token::{self, Claims, Found, Slot};
use super::{accounts, secrets};
use crate::age;
use crate::code::Code;
use crate::k8s::Scope;
use crate::k8s::health::{self, Health};
use crate::k8s::kiali_cr::ACCOUNT;
use crate::k8s::look::{Component, look};
use crate::k8s::request::send_opt;
use crate::progress::ObjectId;

/// A lasting token that is older than this should be replaced.
const OLD: Duration = Duration::from_secs(90 * 24 * 3600);

/// The Secret of the token that Kiali uses, and those left beside it.
pub async fn components(scope: &Scope<'_>, in_use: Option<&SecretString>) -> Vec<Component> {
    let found = match token::all(scope).await {
        Ok(found) => found,
        Err(error) => {
            let id = Slot::first(scope.settings).id(scope.namespace);
            return vec![Component::new(id, Health::Failed(format!("{error:#}")))];
        }
    };
    let used = in_use.and_then(|token| found.iter().find(|found| found.is_of(token)));
    // Without the token, or with one that is in no Secret, the first one that exists is shown.
    let shown = used.or_else(|| found.iter().find(|found| found.is_ours));
    let slot = shown.map_or_else(|| Slot::first(scope.settings), |found| found.slot);
    let mut components = vec![of(scope, slot, shown, in_use.filter(|_| used.is_some())).await];
    let beside = |found: &&Found| used.is_some() && found.is_ours && found.slot != slot;
    components.extend(found.iter().filter(beside).map(|found| {
        let why = "left by an interrupted rotation, and its token may still be valid: run ambikiali rotate";
        let id = found.slot.id(scope.namespace);
        Component::new(id, Health::Failed(why.into()))
    }));
    components
}

async fn of(
    scope: &Scope<'_>,
    slot: Slot,
    found: Option<&Found>,
    token: Option<&SecretString>,
) -> Component {
    let (accounts, secrets) = (accounts(scope), secrets(scope));
    let (id, now) = (
        ObjectId::new("ServiceAccount", scope.namespace, ACCOUNT),
        scope.cluster.server_time(),
    );
    let account = match send_opt(scope, &id, || accounts.get(ACCOUNT)).await {
        Err(refusal) => return Component::new(id, Health::Failed(refusal.text())),
        Ok(account) => account.and_then(|account| account.metadata.uid),
    };
    let object = slot.id(scope.namespace);
    let mut component = look(scope, &secrets, object, |secret: Option<&Secret>| {
        match (slot.expires, token) {
            (false, _) => health::token(secret, account.as_deref()),
            (true, Some(token)) => lives(token, now),
            (true, None) => Health::InProgress("Kiali does not use its token: run install".into()),
        }
    })
    .await;
    let age = found.and_then(|found| found.age(scope));
    let (note, code) = told(slot, age, token, now);
    component.note = note;
    component.code = match component.health {
        Health::Failed(_) => Some(Code::TokenEnded).filter(|_| slot.expires),
        _ => code,
    };
    component
}

/// Whether a token with a lifetime is still valid.
fn lives(token: &SecretString, now: Option<Timestamp>) -> Health {
    match Claims::of(token).ends.zip(now) {
        Some((ends, now)) if ends <= now => Health::Failed(format!(
            "its token ended at {ends}, so Kiali no longer sees this cluster: run ambikiali rotate"
        )),
        _ => Health::Ready,
    }
}

/// The age and the end of a token, with the code of a warning.
fn told(
    slot: Slot,
    age: Option<SignedDuration>,
    token: Option<&SecretString>,
    now: Option<Timestamp>,
) -> (Option<String>, Option<Code>) {
    let Some(age) = age.map(|age| Duration::try_from(age).unwrap_or_default()) else {
        return (None, None);
    };
    let old = format!("the token is {} old", age::said(age));
    let claims = token.map(Claims::of);
    let left = claims.zip(now).and_then(|(claims, now)| claims.left(now));
    match (slot.expires, left) {
        (true, Some((left, whole))) if left.is_positive() => {
            let ends = age::said(Duration::try_from(left).unwrap_or_default());
            match left < whole / 3 {
                true => (
                    Some(format!(
                        "{old} and ends in {ends}: run ambikiali rotate before that"
                    )),
                    Some(Code::TokenEndsSoon),
                ),
                false => (Some(format!("{old} and ends in {ends}")), None),
            }
        }
        (true, _) => (Some(old), None),
        (false, _) if age > OLD => (
            Some(format!("{old} and never ends: run ambikiali rotate")),
            Some(Code::TokenOld),
        ),
        (false, _) => (Some(format!("{old} and never ends")), None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::SLOTS;
    use super::*;

    const HOUR: i64 = 3600;

    fn at(second: i64) -> Option<Timestamp> {
        Some(Timestamp::from_second(second).unwrap())
    }

    /// Of a token that lasts from second 1000 to second 4600.
    fn expiring(now: i64) -> (Option<String>, Option<Code>) {
        let token = token::expiring();
        let age = SignedDuration::from_secs(now - 1000);
        told(SLOTS[2], Some(age), Some(&token), at(now))
    }

    fn lasting(hours: i64) -> (Option<String>, Option<Code>) {
        told(
            SLOTS[0],
            Some(SignedDuration::from_secs(hours * HOUR)),
            None,
            at(0),
        )
    }

    #[test]
    fn age_and_end_are_told_and_a_warning_comes_in_time() {
        let said = |(note, code): (Option<String>, Option<Code>)| (note.unwrap(), code);
        assert_eq!(
            said(expiring(1600)),
            (
                "the token is 10 minutes old and ends in 50 minutes".into(),
                None
            )
        );
        assert_eq!(
            said(expiring(3700)),
            (
                "the token is 45 minutes old and ends in 15 minutes: run ambikiali rotate before that".into(),
                Some(Code::TokenEndsSoon)
            )
        );
        assert_eq!(
            said(lasting(90 * 24)),
            ("the token is 90 days old and never ends".into(), None)
        );
        assert_eq!(
            said(lasting(91 * 24)),
            (
                "the token is 91 days old and never ends: run ambikiali rotate".into(),
                Some(Code::TokenOld)
            )
        );
        assert_eq!(told(SLOTS[0], None, None, at(0)), (None, None));
    }

    #[test]
    fn a_token_that_has_ended_is_a_failure() {
        let token = token::expiring();
        assert_eq!(lives(&token, at(4599)), Health::Ready);
        assert_eq!(
            lives(&token, at(4600)),
            Health::Failed(
                "its token ended at 1970-01-01T01:16:40Z, so Kiali no longer sees this cluster: run ambikiali rotate".into()
            )
        );
    }
}
