//! Pods behind a Deployment: which one serves, why one does not, a command in it, its last words.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{AttachParams, ListParams, LogParams, Patch, PatchParams};
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::health::{self, Health};
use super::request::{change, send, send_opt};
use super::retry::persist;
use super::wait::{self, Wait};
use super::{FIELD_MANAGER, Scope};
use crate::problem::{self, Exit, Problem};
use crate::progress::ObjectId;

/// How often a roll-out that does not end is asked for its pods.
const LOOK: Duration = Duration::from_secs(2);
/// How long a refusal from before is not believed after another try.
const RETRY: Duration = Duration::from_secs(10);

pub async fn labelled(scope: &Scope<'_>, namespace: &str, labels: &str) -> Result<Vec<Pod>> {
    let api = Api::<Pod>::namespaced(scope.cluster.client.clone(), namespace);
    let params = ListParams::default().labels(labels);
    let object = ObjectId::new("pods", namespace, labels);
    let mut pods = send(scope, &object, || api.list(&params)).await?.items;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    pods.sort_by_key(|pod| pod.metadata.creation_timestamp.clone());
    Ok(pods)
}

/// The newest ready pod's name.
pub async fn ready(scope: &Scope<'_>, namespace: &str, labels: &str) -> Result<Option<String>> {
    let pods = labelled(scope, namespace, labels).await?;
    let ready = pods.into_iter().rev().find(is_ready);
    Ok(ready.and_then(|pod| pod.metadata.name))
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

/// The Deployment as it was rolled out; pods that cannot be made or cannot start end the wait at once.
pub async fn rolled_out(
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
        retried(scope, &object).await?;
        wait.seen = None;
    }
    let describe = |what| {
        let context = &scope.cluster.context;
        format!("kubectl --context {context} -n {namespace} describe {what} -l {labels}")
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

/// Ends only when the pods of a Deployment cannot be made or cannot start, for who waits for something
/// that they do.
pub async fn hopeless(
    scope: &Scope<'_>,
    wait: Wait<'_, Deployment>,
    labels: &str,
) -> anyhow::Error {
    match rolled_out(scope, wait, labels, health::deployment).await {
        Err(error) if problem::find(&error).is_some_and(|p| p.exit == Exit::Unexpected) => error,
        _ => std::future::pending().await,
    }
}

/// Has the controller try again at once to make pods that were refused before this run: the cause may
/// be gone, and its own pauses grow to a quarter of an hour. It copies the annotation to the ReplicaSet,
/// and every change of that is looked at.
pub async fn retried(scope: &Scope<'_>, object: &ObjectId) -> Result<()> {
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let api = Api::<Deployment>::namespaced(scope.cluster.client.clone(), namespace);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let live = send(scope, object, || api.get(&object.name)).await?;
    let any_new_value = live.metadata.resource_version;
    let touch = json!({"metadata": {"annotations": {"ambikiali.dev/retry": any_new_value}}});
    let touch = Patch::Merge(touch);
    change(scope, object, || api.patch(&object.name, &params, &touch)).await??;
    // Whether it still is refused is for the wait to judge.
    let _ = wait::poll(scope, object, RETRY, async || {
        let live = send_opt(scope, object, || api.get(&object.name)).await;
        match live.ok().flatten().as_ref().and_then(health::refused) {
            Some(cause) => Health::InProgress(format!("tried again: {cause}")),
            None => Health::Ready,
        }
    })
    .await;
    Ok(())
}

/// Only the newest pod counts: an older one may fail for what was just mended.
async fn first_failure(scope: &Scope<'_>, namespace: &str, labels: &str) -> Result<String> {
    loop {
        tokio::time::sleep(LOOK).await;
        let Ok(pods) = labelled(scope, namespace, labels).await else {
            continue;
        };
        let Some(pod) = pods.last() else { continue };
        if let Some(cause) = health::pod_failure(pod) {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let said = last_words(scope, namespace, name).await;
            return Ok(match said {
                Some(line) => format!("pod {name}: {cause}; its last log line: {line}"),
                None => format!("pod {name}: {cause}"),
            });
        }
    }
}

/// The last line of the container that ended, or of the one that runs.
async fn last_words(scope: &Scope<'_>, namespace: &str, pod: &str) -> Option<String> {
    let api = Api::<Pod>::namespaced(scope.cluster.client.clone(), namespace);
    for previous in [true, false] {
        let params = LogParams {
            previous,
            tail_lines: Some(1),
            ..LogParams::default()
        };
        let asked = tokio::time::timeout(Duration::from_secs(5), api.logs(pod, &params)).await;
        if let Ok(Ok(text)) = asked
            && let Some(line) = text.lines().rev().find(|l| !l.trim().is_empty())
        {
            return Some(line.trim().to_string());
        }
    }
    None
}

/// What a command in a container wrote and whether it succeeded.
#[derive(Clone, Debug)]
pub struct Output {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command in a container, bounded by `patience`.
pub async fn exec(
    scope: &Scope<'_>,
    namespace: &str,
    pod: &str,
    container: &str,
    command: &[&str],
    patience: Duration,
) -> Result<Output> {
    let what = || {
        format!(
            "{}: {} in Pod {namespace}/{pod}",
            scope.cluster.name, command[0]
        )
    };
    let patience = scope.deadline.at_most(patience);
    tokio::time::timeout(patience, run(scope, namespace, pod, container, command))
        .await
        .map_err(|_| anyhow::anyhow!("no end after {} s", patience.as_secs()))
        .and_then(|ended| ended)
        .with_context(what)
}

async fn run(
    scope: &Scope<'_>,
    namespace: &str,
    pod: &str,
    container: &str,
    command: &[&str],
) -> Result<Output> {
    let api = Api::<Pod>::namespaced(scope.cluster.client.clone(), namespace);
    let params = AttachParams::default()
        .container(container)
        .stdout(true)
        .stderr(true);
    let start = || api.exec(pod, command.iter().copied(), &params);
    let mut process = persist(scope.deadline, start)
        .await
        .map_err(|cause| anyhow::anyhow!(cause.text()))?;
    let status = process.take_status();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let out = process.stdout().context("no stdout")?;
    let err = process.stderr().context("no stderr")?;
    // Bounded: a page is of no use here, and a hostile pod must not fill the memory.
    let (mut out, mut err) = (out.take(1 << 20), err.take(1 << 20));
    tokio::try_join!(
        out.read_to_string(&mut stdout),
        err.read_to_string(&mut stderr)
    )?;
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    let success = status.and_then(|s| s.status).as_deref() == Some("Success");
    Ok(Output {
        success,
        stdout,
        stderr,
    })
}
