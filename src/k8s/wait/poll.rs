//! Polls for conditions that cannot be watched.

use std::time::{Duration, Instant};

use anyhow::Result as Anyhow;

use super::PAUSE;
use crate::k8s::Scope;
use crate::k8s::health::Health;
use crate::k8s::request::RequestError;
use crate::progress::ObjectId;

/// How long a kind may be unknown after its CRD is established.
const SERVED: Duration = Duration::from_secs(30);

/// A request that begins later than this before the deadline may be cut short by it.
const HURRY: Duration = Duration::from_secs(3);

/// Retries while a kind is unknown: with several API servers behind one address, not all of them serve a kind
/// as soon as its CRD is established.
pub async fn until_served<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    mut request: impl FnMut() -> F,
) -> Result<T, RequestError>
where
    F: Future<Output = Result<T, RequestError>>,
{
    let end = Instant::now() + scope.deadline.at_most(SERVED);
    loop {
        match request().await {
            Err(refusal) if refusal.is_unknown_kind() && Instant::now() + PAUSE < end => {
                scope.progress.waiting(object, &refusal.text());
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Polls until the result is ready or failed, or the timeout expires. The error is the last reason.
pub async fn poll(
    scope: &Scope<'_>,
    object: &ObjectId,
    patience: Duration,
    mut ask: impl AsyncFnMut() -> Health,
) -> Result<(), String> {
    let end = Instant::now() + scope.deadline.at_most(patience);
    let mut reason = String::new();
    loop {
        let late = Instant::now() + HURRY > end;
        match ask().await {
            Health::Ready => {
                scope.progress.arrived(object);
                return Ok(());
            }
            Health::Failed(cause) => return Err(cause),
            // The reason before it says more than a request that was cut short.
            Health::InProgress(_) if late && !reason.is_empty() && Instant::now() >= end => {}
            Health::InProgress(why) => {
                if reason != why {
                    scope.progress.waiting(object, &why);
                    reason = why;
                }
            }
        }
        if Instant::now() + PAUSE > end {
            return Err(reason);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Repeats a read while its result may still change by itself, until the timeout expires.
pub async fn settled<T>(
    scope: &Scope<'_>,
    patience: Duration,
    read: impl AsyncFn() -> Anyhow<(T, bool)>,
) -> Anyhow<T> {
    let end = Instant::now() + scope.deadline.at_most(patience);
    loop {
        let (seen, may_change) = read().await?;
        if !may_change || Instant::now() >= end {
            return Ok(seen);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
