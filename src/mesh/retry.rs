//! The retry policy of all requests. Every request can be repeated safely: reads, server-side applies, and
//! deletes by UID. kube's own retry is off, because it pauses for minutes and ignores the deadline.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use kube::core::Status;
use kube::core::response::StatusDetails;

use super::pages::TooLong;
use super::proxy::ProxyError;
use super::{LeaseError, TooLarge, found};
use crate::deadline::Deadline;
use crate::problem::{is_tls, kube_text, no_answer};

/// Timeout of one request. kube sets none, so a server that accepts and never answers would hang the run.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub enum Cause {
    Api(Box<Status>),
    /// The proxy on the way to the server failed, or refused to connect.
    Proxy(#[source] kube::Error),
    /// The connection failed, or the response is not valid.
    Connection(#[source] kube::Error),
    /// The TLS handshake with the server failed.
    Tls(#[source] kube::Error),
    TimedOut(Duration),
    /// Stopped by our own limits.
    Stopped(Stop),
}

#[derive(Clone, Debug)]
pub enum Stop {
    TooLarge(String),
    /// This run does not hold the Lease any more.
    LeaseError(LeaseError),
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
        match found::<LeaseError>(&error) {
            Some(refused) => Cause::Stopped(Stop::LeaseError(*refused)),
            None if found::<ProxyError>(&error).is_some() => Cause::Proxy(error),
            None if is_tls(&error) => Cause::Tls(error),
            None => Cause::Connection(error),
        }
    }

    pub fn status(&self) -> Option<&Status> {
        match self {
            Cause::Api(status) => Some(status),
            _ => None,
        }
    }

    /// Whether the error may be temporary.
    pub fn is_transient(&self) -> bool {
        match self {
            Cause::Api(status) => {
                let is_busy = matches!(status.code, 429 | 500 | 502 | 503 | 504);
                (is_busy && !is_schema_error(status)) || is_quota_race(status)
            }
            // A wait may outlast a wrong certificate; a single request is not retried, see `pauses`.
            Cause::Proxy(_) | Cause::Connection(_) | Cause::Tls(_) | Cause::TimedOut(_) => true,
            Cause::Stopped(_) => false,
        }
    }

    pub fn text(&self) -> String {
        match self {
            Cause::Api(status) => kube_text(&kube::Error::Api(status.clone())),
            Cause::Proxy(error) => match found::<ProxyError>(error) {
                Some(refusal) => refusal.to_string(),
                None => kube_text(error),
            },
            Cause::Connection(error) | Cause::Tls(error) => kube_text(error),
            Cause::TimedOut(waited) => no_answer(*waited),
            Cause::Stopped(Stop::TooLarge(text)) => text.clone(),
            Cause::Stopped(Stop::LeaseError(refused)) => refused.to_string(),
        }
    }

    /// Pauses before each retry, in milliseconds. A busy server gets ten seconds to recover and a connection two;
    /// a request that timed out has waited enough already.
    fn pauses(&self) -> &'static [u64] {
        match self {
            _ if !self.is_transient() => &[],
            Cause::Api(_) => &[200, 500, 1500, 3000, 5000],
            Cause::Proxy(_) | Cause::Connection(_) => &[200, 500, 1500],
            Cause::Tls(_) => &[],
            Cause::TimedOut(_) => &[200, 500],
            Cause::Stopped(_) => &[],
        }
    }

    /// The pause after this many tries; None if there is no further try. Honours Retry-After.
    fn pause(&self, tries: usize) -> Option<Duration> {
        let pause = Duration::from_millis(*self.pauses().get(tries - 1)?);
        let retry_after = match self {
            Cause::Api(status) => retry_after(status),
            _ => 0,
        };
        Some(pause.max(Duration::from_secs(retry_after.into())))
    }
}

/// The delay that the server asks for, in seconds.
pub fn retry_after(status: &Status) -> u32 {
    status.details.as_ref().map_or(0, |d| d.retry_after_seconds)
}

/// An apply that violates the schema of its kind, which the server reports as an internal error.
fn is_schema_error(status: &Status) -> bool {
    status.code == 500
        && status
            .message
            .contains("failed to create typed patch object")
}

/// A conflict of two concurrent writes on a ResourceQuota, not on the object itself.
pub fn is_quota_race(status: &Status) -> bool {
    let quota = |details: &StatusDetails| details.kind == "resourcequotas";
    status.code == 409 && status.details.as_ref().is_some_and(quota)
}

/// Sends the request until it succeeds, fails for good, or runs out of retries or time.
pub async fn persist<T, F>(deadline: Deadline, request: impl Fn() -> F) -> Result<T, Cause>
where
    F: Future<Output = kube::Result<T>>,
{
    for tries in 1.. {
        let patience = deadline.at_most(REQUEST_TIMEOUT);
        let cause = match tokio::time::timeout(patience, request()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Cause::of(error),
            Err(_) => Cause::TimedOut(patience),
        };
        let pause = cause.pause(tries).map(jittered);
        match pause.filter(|pause| *pause < deadline.left()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(cause),
        }
    }
    unreachable!("there is no last number")
}

/// Adds up to a quarter, so that requests that failed together are not retried together.
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
    fn only_temporary_errors_are_retried() {
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
        let error = || kube::Error::Service("reset".into());
        assert_eq!(tries(&Cause::Proxy(error())), 4);
        assert_eq!(tries(&Cause::Connection(error())), 4);
        assert_eq!(tries(&Cause::Tls(error())), 1);
        assert_eq!(tries(&Cause::TimedOut(REQUEST_TIMEOUT)), 3);
    }

    #[test]
    fn retry_after_is_honoured() {
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
