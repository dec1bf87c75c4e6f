//! The pods of a Deployment: which one is ready, why one fails, its last log line, and commands in it.

mod admitted;
mod exec;
mod foreseen;

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams, Patch};
use serde_json::{Value, json};

pub use admitted::{admitted, tell_admitted};
pub use exec::exec;
pub use foreseen::foreseen;
use foreseen::foreseen_with;

use super::apply::Applied;
use super::change::{self, What};
use super::health::{self, Health};
use super::request::{change, send, send_opt};
use super::wait::{self, Wait};
use super::{Scope, as_ourselves, ownership, write};
use crate::mesh::pages;
use crate::problem::{self, Exit, Problem};
use crate::progress::ObjectId;
use crate::visible;

/// How often the pods of a rollout are checked for failures.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// How long an old ReplicaFailure is ignored after a retry.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);

const RESTART_ANNOTATION: &str =
    ".spec.template.metadata.annotations['kubectl.kubernetes.io/restartedAt']";
const CONFIG_ANNOTATION: &str =
    ".spec.template.metadata.annotations['ambikiali.dev/config-version']";

pub async fn labelled(scope: &Scope<'_>, namespace: &str, labels: &str) -> Result<Vec<Pod>> {
    let api = Api::<Pod>::namespaced(scope.cluster.client.clone(), namespace);
    let params = ListParams::default().labels(labels);
    let object = ObjectId::new("pods", namespace, labels);
    let mut pods = send(scope, &object, || pages::list(&api, &params)).await?;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.clone());
    Ok(pods)
}

/// The name of the newest ready pod.
pub async fn ready(scope: &Scope<'_>, namespace: &str, labels: &str) -> Result<Option<String>> {
    let pods = labelled(scope, namespace, labels).await?;
    Ok(newest_ready(&pods))
}

/// The name of the newest ready one of these pods, the oldest of which is the first.
pub fn newest_ready(pods: &[Pod]) -> Option<String> {
    let ready = pods.iter().rev().find(|pod| is_ready(pod));
    ready.and_then(|pod| pod.metadata.name.clone())
}

pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .filter_map(|s| s.conditions.as_ref())
        .flatten();
    conditions
        .into_iter()
        .any(|c| c.type_ == "Ready" && c.status == "True")
}

/// A Deployment that is rolled out.
pub struct RolledOut {
    pub deployment: Option<Deployment>,
    /// The oldest first. That they cannot be listed is reported by those who need them.
    pub pods: Result<Vec<Pod>>,
}

/// Waits until the Deployment is rolled out. Fails at once if its pods cannot be created or cannot start.
pub async fn rolled_out(
    scope: &Scope<'_>,
    wait: Wait<'_, Deployment>,
    labels: &str,
    health: impl FnMut(Option<&Deployment>) -> Health,
) -> Result<RolledOut> {
    let object = wait.object.clone();
    let deployment = rolling_out(scope, wait, labels, health).await?;
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let pods = labelled(scope, namespace, labels).await;
    if let (Some(deployment), Ok(pods)) = (&deployment, &pods) {
        admitted::tell(scope, &object, deployment, pods);
    }
    Ok(RolledOut { deployment, pods })
}

async fn rolling_out(
    scope: &Scope<'_>,
    mut wait: Wait<'_, Deployment>,
    labels: &str,
    health: impl FnMut(Option<&Deployment>) -> Health,
) -> Result<Option<Deployment>> {
    let object = wait.object.clone();
    let namespace = object.namespace.clone().unwrap_or_default();
    if wait.seen.is_none() && !wait.absent {
        wait.seen = send_opt(scope, &object, || wait.api.get(&object.name)).await?;
        wait.absent = wait.seen.is_none();
    }
    if wait
        .seen
        .as_ref()
        .is_some_and(|d| health::refused(d).is_some())
    {
        retry_creation(scope, &object).await?;
        wait.seen = None;
    }
    let describe = |what| {
        let kubectl = &scope.cluster.kubectl;
        format!("{kubectl} -n {namespace} describe {what} -l {labels}")
    };
    tokio::select! {
        done = wait::until(scope, wait, health) => done.map_err(|error| match problem::find(&error) {
            Some(problem) if problem.fix.is_none() => {
                problem.clone().fix(describe("replicasets")).into()
            }
            _ => error,
        }),
        failed = first_failure(scope, &namespace, labels) => {
            let cause = failed?;
            Err(Problem::new(Exit::Unexpected, format!("{}: {object} cannot start: {cause}", scope.cluster.name))
                .fix(describe("pods"))
                .into())
        }
    }
}

/// Returns only if the pods of a Deployment cannot be created or cannot start. For use beside a wait for
/// something that these pods do.
pub async fn until_failed(
    scope: &Scope<'_>,
    wait: Wait<'_, Deployment>,
    labels: &str,
) -> anyhow::Error {
    match rolling_out(scope, wait, labels, health::deployment).await {
        Err(error) if problem::find(&error).is_some_and(|p| p.exit == Exit::Unexpected) => error,
        _ => std::future::pending().await,
    }
}

/// Whether all pods were created after the configuration was last written.
fn all_newer(pods: &[Pod], config: &Value) -> bool {
    let written = ownership::written_at(config);
    let mut pods = pods.iter();
    pods.all(|pod| pod.metadata.creation_timestamp >= written)
}

/// Makes the controller retry at once to create pods that were refused before this run. The cause may be fixed,
/// and the controller's own backoff grows to a quarter of an hour. The controller copies the annotation to the
/// ReplicaSet, which is a change and triggers a sync.
pub async fn retry_creation(scope: &Scope<'_>, object: &ObjectId) -> Result<()> {
    if scope.choices.dry_run {
        change::annotated(scope, object, write::RETRY);
        return Ok(());
    }
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let api = Api::<Deployment>::namespaced(scope.cluster.client.clone(), namespace);
    let live = send(scope, object, || api.get(&object.name)).await?;
    write::touch(scope, &api, object, write::RETRY, &live.metadata).await?;
    // If the pods are still refused, the following wait reports it.
    let _ = wait::poll(scope, object, RETRY_TIMEOUT, async || {
        let live = send_opt(scope, object, || api.get(&object.name)).await;
        match live.ok().flatten().as_ref().and_then(health::refused) {
            Some(cause) => Health::InProgress(format!("retried: {cause}")),
            None => Health::Ready,
        }
    })
    .await;
    Ok(())
}

/// Waits until the Deployment is rolled out with pods that were created after its ConfigMap was last written.
/// Older pods may run with an older configuration, for example after an edit was reverted.
pub async fn rolled_out_with(
    scope: &Scope<'_>,
    api: &Api<Deployment>,
    applied: &[Applied],
    id: ObjectId,
    labels: &str,
) -> Result<()> {
    if scope.choices.dry_run {
        return foreseen_with(scope, applied, &id, labels).await;
    }
    let live = |kind: &str| {
        applied
            .iter()
            .map(|a| &a.live)
            .find(|live| live["kind"] == kind)
    };
    let mut seen = live("Deployment").and_then(|d| serde_json::from_value(d.clone()).ok());
    let config = live("ConfigMap").context("the manifest has a configuration")?;
    loop {
        let wait = Wait {
            seen: seen.take(),
            ..Wait::for_object(api.clone(), id.clone())
        };
        let done = rolling_out(scope, wait, labels, health::deployment).await?;
        let namespace = id.namespace.as_deref().unwrap_or_default();
        let pods = labelled(scope, namespace, labels).await?;
        if all_newer(&pods, config) {
            if let Some(deployment) = &done {
                admitted::tell(scope, &id, deployment, &pods);
            }
            return Ok(());
        }
        seen = Some(trigger_rollout(scope, api, &id, config).await?);
    }
}

/// Triggers a rollout, once for each version of the configuration.
async fn trigger_rollout(
    scope: &Scope<'_>,
    api: &Api<Deployment>,
    id: &ObjectId,
    config: &Value,
) -> Result<Deployment> {
    let version = json!({"ambikiali.dev/config-version": config["metadata"]["resourceVersion"]});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": version}}}});
    let params = as_ourselves();
    let patch = Patch::Merge(patch);
    change::touched(scope, id, What::Change, CONFIG_ANNOTATION);
    Ok(change(scope, id, || api.patch(&id.name, &params, &patch)).await??)
}

/// Restarts the Deployment like `kubectl rollout restart`. Returns None if it does not exist.
pub async fn restart(
    scope: &Scope<'_>,
    api: &Api<Deployment>,
    id: &ObjectId,
) -> Result<Option<Deployment>> {
    if scope.choices.dry_run {
        let live = send_opt(scope, id, || api.get(&id.name)).await?;
        if live.is_some() {
            change::touched(scope, id, What::Change, RESTART_ANNOTATION);
        }
        return Ok(live);
    }
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let at = json!({"kubectl.kubernetes.io/restartedAt": now});
    let patch = Patch::Merge(json!({"spec": {"template": {"metadata": {"annotations": at}}}}));
    let params = as_ourselves();
    match change(scope, id, || api.patch(&id.name, &params, &patch)).await? {
        Err(refusal) if refusal.is_missing() => Ok(None),
        Err(refusal) => Err(refusal.into()),
        Ok(restarted) => {
            change::touched(scope, id, What::Change, RESTART_ANNOTATION);
            Ok(Some(restarted))
        }
    }
}

/// Changes how the pods of a Deployment of the operator are replaced, which replaces none of them.
pub async fn update(
    scope: &Scope<'_>,
    api: &Api<Deployment>,
    id: &ObjectId,
    rolling: &Value,
) -> Result<()> {
    let patch = Patch::Merge(json!({"spec": {"strategy": {"rollingUpdate": rolling}}}));
    let params = as_ourselves();
    change(scope, id, || api.patch(&id.name, &params, &patch)).await??;
    change::touched(scope, id, What::Change, ".spec.strategy.rollingUpdate");
    Ok(())
}

/// Only the newest pod counts: an older one may fail for a reason that was just fixed.
async fn first_failure(scope: &Scope<'_>, namespace: &str, labels: &str) -> Result<String> {
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        let Ok(pods) = labelled(scope, namespace, labels).await else {
            continue;
        };
        let Some(pod) = pods.last() else { continue };
        if let Some(cause) = health::pod_failure(pod) {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let said = last_log_line(scope, namespace, name).await;
            return Ok(match said {
                Some(line) => format!("pod {name}: {cause}; its last log line: {line}"),
                None => format!("pod {name}: {cause}"),
            });
        }
    }
}

/// The end of the log of a pod with one container. None if the user may not read it.
pub async fn log(scope: &Scope<'_>, namespace: &str, pod: &str) -> Option<String> {
    let api = Api::<Pod>::namespaced(scope.cluster.client.clone(), namespace);
    let params = LogParams {
        tail_lines: Some(100),
        // A line may be endless.
        limit_bytes: Some(256 << 10),
        ..LogParams::default()
    };
    let asked = tokio::time::timeout(Duration::from_secs(5), api.logs(pod, &params)).await;
    let text = asked.ok()?.ok()?;
    Some(without_tokens(&text))
}

/// The last log line of the previous container, or of the current one.
async fn last_log_line(scope: &Scope<'_>, namespace: &str, pod: &str) -> Option<String> {
    let api = Api::<Pod>::namespaced(scope.cluster.client.clone(), namespace);
    for previous in [true, false] {
        let params = LogParams {
            previous,
            tail_lines: Some(1),
            // A line may be endless.
            limit_bytes: Some(64 << 10),
            ..LogParams::default()
        };
        let asked = tokio::time::timeout(Duration::from_secs(5), api.logs(pod, &params)).await;
        if let Ok(Ok(text)) = asked
            && let Some(line) = last_line(&text)
        {
            return Some(line);
        }
    }
    None
}

fn last_line(text: &str) -> Option<String> {
    let line = text.lines().rev().find(|l| !l.trim().is_empty())?;
    let line = without_tokens(line.trim());
    Some(visible::short(&line, visible::SAID).into_owned())
}

/// Hides tokens. A program may log the token with which it was refused.
fn without_tokens(line: &str) -> String {
    let of_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let parts = line.split_inclusive(|c| !of_token(c)).map(|part| {
        let word = part.trim_end_matches(|c| !of_token(c));
        match word.starts_with("eyJ") && word.matches('.').count() == 2 {
            true => format!("<token>{}", &part[word.len()..]),
            false => part.into(),
        }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_last_non_empty_one_and_is_shortened() {
        assert_eq!(last_line("first\nlast \r\n\n \n").as_deref(), Some("last"));
        assert_eq!(last_line(" \n"), None);
        let line =
            "401 for Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl, from eyJ.x";
        let said = last_line(line).unwrap();
        assert_eq!(said, "401 for Bearer <token>, from eyJ.x");
        let line = last_line(&"x".repeat(64 << 10)).unwrap();
        assert_eq!(line.chars().count(), visible::SAID + 1);
    }
}
