//! The only place that waits for an object: look, then watch from there, until a pure health
//! function is satisfied. A watch that breaks, ends or falls silent is taken up again by a new look, and
//! one that goes on is not believed to tell all: the object is looked at every few seconds. The
//! deadline's error carries the last reason seen.

mod follow;
mod look;
mod poll;

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
/// How often the object is looked at whatever its watch says; always a little later.
const LOOK: Duration = Duration::from_secs(5);
/// How long a cluster may be out of reach in the middle of a wait.
const OUTAGE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(500);

/// What the object shall become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    Ready,
    Gone,
}

/// What is waited for.
pub struct Wait<'a, K> {
    pub api: Api<K>,
    pub object: ObjectId,
    /// As the last write left it: saves the first look.
    pub seen: Option<K>,
    /// Nothing is there to look at yet, most likely: watch first.
    pub absent: bool,
    /// How long it must stay ready: for conditions that flicker.
    pub quiet: Duration,
    pub goal: Goal,
    /// What usually lacks, or tells more, when this is never reached.
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

    /// A watch is asked for one object, and may answer with any.
    fn is_of(&self, meta: &ObjectMeta) -> bool {
        let namespace = self.object.namespace.as_ref();
        meta.name.as_ref() == Some(&self.object.name)
            && namespace.is_none_or(|namespace| meta.namespace.as_ref() == Some(namespace))
    }
}

/// Until the object is ready; fails at once when it cannot become so.
pub async fn until<K>(
    scope: &Scope<'_>,
    mut wait: Wait<'_, K>,
    health: impl FnMut(Option<&K>) -> Health,
) -> Result<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut out_since: Option<Instant> = None;
    let reason = RefCell::new("not looked at yet".to_string());
    let mut judge = Judge {
        health,
        ready_since: None,
    };
    loop {
        let looked = match wait.seen.take() {
            Some(seen) => Ok(Some(seen)),
            None if std::mem::take(&mut wait.absent) => Ok(None),
            None => look::look(scope, &wait, &reason).await,
        };
        match looked {
            Ok(object) => {
                out_since = None;
                if let Some(object) = follow(scope, &wait, object, &mut judge, &reason).await? {
                    scope.progress.arrived(&wait.object);
                    return Ok(object);
                }
            }
            Err(refusal) if refusal.is_unreachable() && out(&mut out_since) < OUTAGE => {
                judge.ready_since = None;
                look::tell(scope, &wait.object, &reason, refusal.text());
                tokio::time::sleep(scope.deadline.at_most(PAUSE)).await;
            }
            Err(refusal) => return Err(refusal.into()),
        }
        if scope.deadline.left().is_zero() {
            return Err(too_late(scope, &wait, &reason.borrow()).into());
        }
    }
}

fn out(since: &mut Option<Instant>) -> Duration {
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

fn too_late<K>(scope: &Scope<'_>, wait: &Wait<'_, K>, reason: &str) -> Problem {
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
        "" => problem.fix("run the same command again; it goes on from here"),
        advice => problem.fix(advice),
    }
}

/// Until the object is gone.
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
        (None, _) => "its owner is gone; the garbage collector has not come to it".into(),
        (Some(_), Some(finalizers)) if !finalizers.is_empty() => {
            format!("going; finalizer {} is not done", finalizers.join(", "))
        }
        (Some(_), _) => "going".into(),
    }
}
