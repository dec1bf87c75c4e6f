//! The one policy of sending again. Every request here may be sent twice: reads, server-side applies
//! by name, and deletes by UID. kube's own retry is off: it pauses for minutes and knows no deadline.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use kube::core::Status;
use kube::core::response::StatusDetails;

use super::pages::TooLong;
use super::{NotOurs, TooLarge, found};
use crate::deadline::Deadline;
use crate::problem::{is_tls, kube_text, no_answer};

/// kube sets no read timeout: a server that accepts and never answers would hang the run.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer worth having.
#[derive(Debug)]
pub enum Cause {
    Api(Box<Status>),
    /// No connection, or one that broke, or what came over it is not an answer.
    Broken(String),
    /// One side refuses the other's certificate, or they have no TLS in common.
    Untrusted(String),
    Silent(Duration),
    /// What is read or written no further, by rules of our own.
    Stopped(Stop),
}

#[derive(Clone, Debug)]
pub enum Stop {
    TooLarge(String),
    /// Another run may be the one that writes.
    NotOurs(NotOurs),
}

impl Cause {
    fn of(error: kube::Error) -> Cause {
        if let kube::Error::Api(status) = error {
            return Cause::Api(status);
        }
        if let Some(bound) = found::<TooLarge>(&error) {
            return Cause::Stopped(Stop::TooLarge(bound.to_string()));
        }
        if let Some(bound) = found::<TooLong>(&error) {
            return Cause::Stopped(Stop::TooLarge(bound.to_string()));
        }
        match found::<NotOurs>(&error) {
            Some(refused) => Cause::Stopped(Stop::NotOurs(*refused)),
            None if is_tls(&error) => Cause::Untrusted(kube_text(&error)),
            None => Cause::Broken(kube_text(&error)),
        }
    }

    pub fn status(&self) -> Option<&Status> {
        match self {
            Cause::Api(status) => Some(status),
            Cause::Broken(_) | Cause::Untrusted(_) | Cause::Silent(_) | Cause::Stopped(_) => None,
        }
    }

    /// A moment may change it.
    pub fn is_passing(&self) -> bool {
        match self {
            Cause::Api(status) => {
                let is_busy = matches!(status.code, 429 | 500 | 502 | 503 | 504);
                (is_busy && !is_of_schema(status)) || is_quota_race(status)
            }
            // A wait may see the server change; a request alone does not.
            Cause::Broken(_) | Cause::Untrusted(_) | Cause::Silent(_) => true,
            Cause::Stopped(_) => false,
        }
    }

    pub fn text(&self) -> String {
        match self {
            Cause::Api(status) => kube_text(&kube::Error::Api(status.clone())),
            Cause::Broken(cause) | Cause::Untrusted(cause) => cause.clone(),
            Cause::Silent(waited) => no_answer(*waited),
            Cause::Stopped(Stop::TooLarge(text)) => text.clone(),
            Cause::Stopped(Stop::NotOurs(refused)) => refused.to_string(),
        }
    }

    /// In milliseconds, one for each further try. A busy server gets ten seconds to recover, a
    /// connection two, and silence costs patience enough.
    fn pauses(&self) -> &'static [u64] {
        match self {
            _ if !self.is_passing() => &[],
            Cause::Api(_) => &[200, 500, 1500, 3000, 5000],
            Cause::Broken(_) => &[200, 500, 1500],
            Cause::Untrusted(_) => &[],
            Cause::Silent(_) => &[200, 500],
            Cause::Stopped(_) => &[],
        }
    }

    /// Before the next try after so many; None: no further one. A server that names a time gets it.
    fn pause(&self, tries: usize) -> Option<Duration> {
        let pause = Duration::from_millis(*self.pauses().get(tries - 1)?);
        let asked = match self {
            Cause::Api(status) => asked(status),
            _ => 0,
        };
        Some(pause.max(Duration::from_secs(asked.into())))
    }
}

/// The seconds that a server asks to be left alone.
pub fn asked(status: &Status) -> u32 {
    status.details.as_ref().map_or(0, |d| d.retry_after_seconds)
}

/// An apply that its kind's schema does not allow, which the server calls an internal error.
fn is_of_schema(status: &Status) -> bool {
    status.code == 500
        && status
            .message
            .contains("failed to create typed patch object")
}

/// Two writes counted by one quota at once, of which one lost: nothing about the object itself.
pub fn is_quota_race(status: &Status) -> bool {
    let quota = |details: &StatusDetails| details.kind == "resourcequotas";
    status.code == 409 && status.details.as_ref().is_some_and(quota)
}

/// Sends until there is an answer worth having, the pauses are used up, or the next one would go
/// past the deadline.
pub async fn persist<T, F>(deadline: Deadline, request: impl Fn() -> F) -> Result<T, Cause>
where
    F: Future<Output = kube::Result<T>>,
{
    for tries in 1.. {
        let patience = deadline.at_most(PATIENCE);
        let cause = match tokio::time::timeout(patience, request()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Cause::of(error),
            Err(_) => Cause::Silent(patience),
        };
        let pause = cause.pause(tries).map(jittered);
        match pause.filter(|pause| *pause < deadline.left()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(cause),
        }
    }
    unreachable!("there is no last number")
}

/// Up to a quarter longer: what failed together must not come back together.
pub fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    pause + pause.mul_f64((random % 1000) as f64 / 4000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answered(code: u16, retry_after: u32) -> Cause {
        let status = json!({"code": code, "details": {"retryAfterSeconds": retry_after}});
        Cause::Api(serde_json::from_value(status).unwrap())
    }

    fn tries(cause: &Cause) -> usize {
        (1..).take_while(|n| cause.pause(*n).is_some()).count() + 1
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for code in [429, 500, 502, 503, 504] {
            assert_eq!(tries(&answered(code, 0)), 6, "{code}");
        }
        for code in [400, 401, 403, 404, 409, 410, 422] {
            assert_eq!(tries(&answered(code, 0)), 1, "{code}");
        }
        let message = "failed to create typed patch object (a/b): .spec: expected string";
        let schema = json!({"code": 500, "message": message});
        assert_eq!(
            tries(&Cause::Api(serde_json::from_value(schema).unwrap())),
            1
        );
        let status = json!({"code": 409, "details": {"kind": "resourcequotas"}});
        let race = Cause::Api(serde_json::from_value(status).unwrap());
        assert_eq!(tries(&race), 6);
        assert_eq!(tries(&Cause::Broken("reset".into())), 4);
        assert_eq!(tries(&Cause::Untrusted("of another CA".into())), 1);
        assert_eq!(tries(&Cause::Silent(PATIENCE)), 3);
    }

    #[test]
    fn a_server_that_names_a_time_gets_it() {
        let pause = |after| answered(429, after).pause(1).unwrap();
        assert_eq!(pause(0), Duration::from_millis(200));
        assert_eq!(pause(1), Duration::from_secs(1));
    }

    #[test]
    fn jitter_only_adds_and_at_most_a_quarter() {
        for _ in 0..100 {
            let pause = jittered(Duration::from_secs(4));
            assert!((4.0..5.0).contains(&pause.as_secs_f64()), "{pause:?}");
        }
    }
}
