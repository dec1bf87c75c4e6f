//! Waits for what cannot be watched: asked again until it is so.

use std::time::{Duration, Instant};

use anyhow::Result as Anyhow;

use super::PAUSE;
use crate::k8s::Scope;
use crate::k8s::health::Health;
use crate::k8s::request::Refusal;
use crate::progress::ObjectId;

/// How long the kind of an established definition may still be unknown.
const SERVED: Duration = Duration::from_secs(30);

/// Not every API server behind one address serves a kind at the moment its definition is established.
pub async fn until_served<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    mut request: impl FnMut() -> F,
) -> Result<T, Refusal>
where
    F: Future<Output = Result<T, Refusal>>,
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

/// For what cannot be watched: asks until it is ready, fails, or `patience` is used up. The error is
/// the last reason.
pub async fn poll(
    scope: &Scope<'_>,
    object: &ObjectId,
    patience: Duration,
    mut ask: impl AsyncFnMut() -> Health,
) -> Result<(), String> {
    let end = Instant::now() + scope.deadline.at_most(patience);
    let mut reason = String::new();
    loop {
        match ask().await {
            Health::Ready => {
                scope.progress.arrived(object);
                return Ok(());
            }
            Health::Failed(cause) => return Err(cause),
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

/// Looks again as long as what is seen may change by itself, and at most for so long.
pub async fn settled<T>(
    scope: &Scope<'_>,
    patience: Duration,
    look: impl AsyncFn() -> Anyhow<(T, bool)>,
) -> Anyhow<T> {
    let end = Instant::now() + scope.deadline.at_most(patience);
    loop {
        let (seen, may_change) = look().await?;
        if !may_change || Instant::now() >= end {
            return Ok(seen);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
