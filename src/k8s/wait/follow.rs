//! One watch of an object, with periodic reads beside it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt, TryFutureExt, pin_mut};
use kube::api::WatchEvent;
use kube::core::Resource;
use serde::de::DeserializeOwned;

use super::{PAUSE, READ_INTERVAL, SILENCE, WATCH, Wait, failed, read};
use crate::k8s::Scope;
use crate::k8s::health::Health;
use crate::mesh::retry;
use crate::mesh::retry::jittered;

/// The health function, and since when it has returned ready. This outlives a watch, so that watches that end
/// early do not reset the quiet time.
pub struct Judge<H> {
    pub health: H,
    pub ready_since: Option<Instant>,
}

enum Judged {
    Ready,
    /// Ready if it stays so for this long.
    Almost(Duration),
    NotReady,
}

impl<H> Judge<H> {
    fn of<K>(
        &mut self,
        object: Option<&K>,
        scope: &Scope<'_>,
        wait: &Wait<'_, K>,
        reason: &RefCell<String>,
    ) -> Result<Judged>
    where
        H: FnMut(Option<&K>) -> Health,
    {
        match (self.health)(object) {
            Health::Ready => {
                let ready = self.ready_since.get_or_insert_with(Instant::now).elapsed();
                Ok(match wait.quiet.saturating_sub(ready) {
                    Duration::ZERO => Judged::Ready,
                    left => Judged::Almost(left),
                })
            }
            Health::Failed(cause) => Err(failed(scope, wait, &cause).into()),
            Health::InProgress(why) => {
                self.ready_since = None;
                read::report(scope, &wait.object, reason, why);
                Ok(Judged::NotReady)
            }
        }
    }
}

/// Judges the object after each event and after each periodic read, because a watch may stay silent or send
/// nothing useful. Returns None if the watch ended and the object must be read again.
pub async fn follow<K>(
    scope: &Scope<'_>,
    wait: &Wait<'_, K>,
    mut object: Option<K>,
    judge: &mut Judge<impl FnMut(Option<&K>) -> Health>,
    reason: &RefCell<String>,
) -> Result<Option<Option<K>>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let version = object
        .as_ref()
        .and_then(|o| o.meta().resource_version.clone());
    let version = version.unwrap_or("0".into());
    let params = wait.watch();
    let changes = wait.api.watch(&params, &version).try_flatten_stream();
    let read_later = || async {
        tokio::time::sleep(jittered(READ_INTERVAL)).await;
        read::read(scope, wait, reason).await
    };
    let reading = read_later();
    pin_mut!(changes, reading);
    // When the watch last sent anything; periodic reads do not count.
    let mut last_event = Instant::now();
    loop {
        let quiet_left = match judge.of(object.as_ref(), scope, wait, reason)? {
            Judged::Ready => return Ok(Some(object)),
            Judged::Almost(left) => Some(left),
            Judged::NotReady => None,
        };
        let silence = SILENCE.saturating_sub(last_event.elapsed());
        let patience = scope.deadline.at_most(quiet_left.unwrap_or(silence));
        tokio::select! {
            change = changes.next() => {
                last_event = Instant::now();
                if let Some(pause) = apply_event(wait, change, &mut object) {
                    tokio::time::sleep(scope.deadline.at_most(pause)).await;
                    return Ok(None);
                }
            }
            read = reading.as_mut() => {
                let Ok(now) = read else { return Ok(None) };
                object = now;
                reading.set(read_later());
            }
            () = tokio::time::sleep(patience) => {
                if quiet_left.is_none() || scope.deadline.left().is_zero() {
                    return Ok(None);
                }
            }
        }
    }
}

/// Applies an event to the object. If the watch ended, returns how long to pause before the next one.
fn apply_event<K: Resource>(
    wait: &Wait<'_, K>,
    change: Option<kube::Result<WatchEvent<K>>>,
    object: &mut Option<K>,
) -> Option<Duration> {
    match change {
        Some(Ok(WatchEvent::Added(new) | WatchEvent::Modified(new))) => {
            if wait.is_of(new.meta()) {
                *object = Some(new);
            }
            None
        }
        Some(Ok(WatchEvent::Deleted(old))) => {
            if wait.is_of(old.meta()) {
                *object = None;
            }
            None
        }
        Some(Ok(WatchEvent::Bookmark(_))) => None,
        Some(Err(kube::Error::Api(status))) => {
            let retry_after = Duration::from_secs(retry::retry_after(&status).into());
            Some(retry_after.clamp(PAUSE / 2, WATCH))
        }
        Some(Ok(WatchEvent::Error(_)) | Err(_)) | None => Some(PAUSE / 2),
    }
}
