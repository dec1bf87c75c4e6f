//! One watch of what is waited for, with looks beside it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::{StreamExt, TryFutureExt, pin_mut};
use kube::api::WatchEvent;
use kube::core::Resource;
use serde::de::DeserializeOwned;

use super::{LOOK, PAUSE, SILENCE, WATCH, Wait, failed, look};
use crate::k8s::Scope;
use crate::k8s::health::Health;
use crate::mesh::retry;
use crate::mesh::retry::jittered;

/// The health function, and since when it is satisfied: beyond the end of a watch, because one that ends at
/// once must not keep that from ever being long enough.
pub struct Judge<H> {
    pub health: H,
    pub ready_since: Option<Instant>,
}

enum Judged {
    Ready,
    /// When it stays so for this much longer.
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
                look::tell(scope, &wait.object, reason, why);
                Ok(Judged::NotReady)
            }
        }
    }
}

/// Judges the object and every change of it, and now and then a new look: a watch may say nothing, or
/// nothing of use, for as long as it likes. None: the watch ended, look again.
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
        .and_then(|o| o.meta().resource_version.clone())
        .unwrap_or("0".into());
    let params = wait.watch();
    let changes = wait.api.watch(&params, &version).try_flatten_stream();
    let again = || async {
        tokio::time::sleep(jittered(LOOK)).await;
        look::look(scope, wait, reason).await
    };
    let looking = again();
    pin_mut!(changes, looking);
    // Silence of the watch, whatever the looks say.
    let mut heard_at = Instant::now();
    loop {
        let almost = match judge.of(object.as_ref(), scope, wait, reason)? {
            Judged::Ready => return Ok(Some(object)),
            Judged::Almost(left) => Some(left),
            Judged::NotReady => None,
        };
        let silence = SILENCE.saturating_sub(heard_at.elapsed());
        let patience = scope.deadline.at_most(almost.unwrap_or(silence));
        tokio::select! {
            change = changes.next() => {
                heard_at = Instant::now();
                if let Some(pause) = heard(wait, change, &mut object) {
                    tokio::time::sleep(scope.deadline.at_most(pause)).await;
                    return Ok(None);
                }
            }
            looked = looking.as_mut() => {
                let Ok(now) = looked else { return Ok(None) };
                object = now;
                looking.set(again());
            }
            () = tokio::time::sleep(patience) => {
                if almost.is_none() || scope.deadline.left().is_zero() {
                    return Ok(None);
                }
            }
        }
    }
}

/// What a watch says is put in place of what was seen; after its end, how long it is left alone.
fn heard<K: Resource>(
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
            let asked = Duration::from_secs(retry::asked(&status).into());
            Some(asked.clamp(PAUSE / 2, WATCH))
        }
        Some(Ok(WatchEvent::Error(_)) | Err(_)) | None => Some(PAUSE / 2),
    }
}
