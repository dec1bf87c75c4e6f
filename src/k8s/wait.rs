//! The only place that waits for an object: get it, then watch it, until a pure health function returns ready.
//! After a watch breaks, ends or falls silent, the object is read again. It is also read every few seconds
//! beside a working watch, which may miss events. The error at the deadline has the last reason seen.

mod follow;
mod poll;
mod read;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::WatchParams;
use kube::core::{ApiResource, DynamicObject, Resource};
use serde::de::DeserializeOwned;

use super::health::Health;
pub use poll::{poll, settled, until_served};

use super::Scope;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use follow::{Judge, follow};

/// How long the server keeps a watch; a little after that, silence means a dead connection.
const WATCH: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(25);
/// How often the object is read beside its watch, plus jitter.
const READ_INTERVAL: Duration = Duration::from_secs(5);
/// How long a cluster may be unreachable during a wait.
const OUTAGE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);

/// The state to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    Ready,
    Gone,
}

/// The object to wait for, and how.
pub struct Wait<'a, K> {
    pub api: Api<K>,
    pub object: ObjectId,
    /// The object as the last write returned it; saves the first read.
    pub seen: Option<K>,
    /// The object most likely does not exist yet: start with the watch.
    pub absent: bool,
    /// How long the object must stay ready, for conditions that flicker.
    pub quiet: Duration,
    pub goal: Goal,
    /// The fix to suggest if the goal is not reached.
    pub advice: &'a str,
}

impl<K> Wait<'_, K> {
    pub fn for_object(api: Api<K>, object: ObjectId) -> Wait<'static, K> {
        Wait {
            api,
            object,
            seen: None,
            absent: false,
            quiet: Duration::ZERO,
            goal: Goal::Ready,
            advice: "",
        }
    }

    fn watch(&self) -> WatchParams {
        WatchParams::default()
            .fields(&format!("metadata.name={}", self.object.name))
            .timeout(WATCH.as_secs() as u32)
    }

    /// Whether an event is about this object: a server may send events of others.
    fn is_of(&self, meta: &ObjectMeta) -> bool {
        let namespace = self.object.namespace.as_ref();
        meta.name.as_ref() == Some(&self.object.name)
            && namespace.is_none_or(|namespace| meta.namespace.as_ref() == Some(namespace))
    }
}

/// Waits until the object is ready. Fails at once if it cannot become ready.
pub async fn until<K>(
    scope: &Scope<'_>,
    mut wait: Wait<'_, K>,
    health: impl FnMut(Option<&K>) -> Health,
) -> Result<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut unreachable_since: Option<Instant> = None;
    let reason = RefCell::new("not checked yet".to_string());
    let mut judge = Judge {
        health,
        ready_since: None,
    };
    loop {
        let read = match wait.seen.take() {
            Some(seen) => Ok(Some(seen)),
            None if std::mem::take(&mut wait.absent) => Ok(None),
            None => read::read(scope, &wait, &reason).await,
        };
        match read {
            Ok(object) => {
                unreachable_since = None;
                if let Some(object) = follow(scope, &wait, object, &mut judge, &reason).await? {
                    scope.progress.arrived(&wait.object);
                    return Ok(object);
                }
            }
            Err(refusal) if refusal.is_unreachable() && outage(&mut unreachable_since) < OUTAGE => {
                judge.ready_since = None;
                read::report(scope, &wait.object, &reason, refusal.text());
                tokio::time::sleep(scope.deadline.at_most(PAUSE)).await;
            }
            Err(refusal) => return Err(refusal.into()),
        }
        if scope.deadline.left().is_zero() {
            return Err(timed_out(scope, &wait, &reason.borrow()).into());
        }
    }
}

fn outage(since: &mut Option<Instant>) -> Duration {
    since.get_or_insert_with(Instant::now).elapsed()
}

fn failed<K>(scope: &Scope<'_>, wait: &Wait<'_, K>, cause: &str) -> Problem {
    let problem = Problem::new(
        Exit::Unexpected,
        format!("{}: {} failed: {cause}", scope.cluster.name, wait.object),
    );
    match wait.advice {
        "" => problem,
        advice => problem.fix(advice),
    }
}

fn timed_out<K>(scope: &Scope<'_>, wait: &Wait<'_, K>, reason: &str) -> Problem {
    let whole = scope.deadline.whole.as_secs();
    let problem = Problem::new(
        Exit::TimedOut,
        format!(
            "{}: {} is not {} after {whole} s: {reason}",
            scope.cluster.name,
            wait.object,
            match wait.goal {
                Goal::Ready => "ready",
                Goal::Gone => "gone",
            }
        ),
    );
    match wait.advice {
        "" => problem.fix("run the same command again to continue"),
        advice => problem.fix(advice),
    }
}

/// Waits until the object is deleted.
pub async fn until_gone(scope: &Scope<'_>, resource: &ApiResource, object: ObjectId) -> Result<()> {
    if scope.choices.dry_run {
        return Ok(());
    }
    let client = scope.cluster.client.clone();
    let api: Api<DynamicObject> = match &object.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, resource),
        None => Api::all_with(client, resource),
    };
    until(
        scope,
        Wait {
            goal: Goal::Gone,
            ..Wait::for_object(api, object)
        },
        |object| match object {
            None => Health::Ready,
            Some(object) => Health::InProgress(terminating(&object.metadata)),
        },
    )
    .await?;
    Ok(())
}

fn terminating(meta: &ObjectMeta) -> String {
    match (&meta.deletion_timestamp, meta.finalizers.as_deref()) {
        (None, _) => "its owner is deleted; waiting for the garbage collector".into(),
        (Some(_), Some(finalizers)) if !finalizers.is_empty() => {
            format!("deleting; waiting for finalizer {}", finalizers.join(", "))
        }
        (Some(_), _) => "deleting".into(),
    }
}
