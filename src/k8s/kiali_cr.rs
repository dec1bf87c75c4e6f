//! A Kiali CR, on home and on a remote alike: when the operator is really done with it, and that it
//! only goes while an operator is alive to run its finalizer.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::apply::{Applied, Outcome};
use super::delete::{self, Removed};
use super::health::{self, Health, Kiali, KialiFence};
use super::request::send;
use super::wait::{self, Wait};
use super::{FIELD_MANAGER, Scope, kinds, pods};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

/// `Successful` of a run that was under way shows for a few milliseconds before the next one.
const QUIET: Duration = Duration::from_secs(1);
const OPERATOR: &str = "kiali-operator";
const OPERATOR_PODS: &str = "app.kubernetes.io/name=kiali-operator";
/// A live operator takes about six seconds.
const REMOVAL: Duration = Duration::from_secs(90);

/// Until the operator has done what this apply asked for.
pub async fn settled(scope: &Scope<'_>, name: &str, applied: &Applied) -> Result<()> {
    let read = |value: &Value| serde_json::from_value::<Kiali>(value.clone()).ok();
    let (before, mut seen) = (applied.before.as_ref().and_then(read), read(&applied.live));
    let stuck = before.as_ref().filter(|k| health::has_failed(k));
    let mut fence = match (applied.outcome, stuck) {
        (Outcome::Changed, _) => KialiFence::changed(before.as_ref()),
        (Outcome::Unchanged, Some(stuck)) => {
            seen = Some(again(scope, name, stuck).await?);
            KialiFence::changed(Some(stuck))
        }
        _ => KialiFence::default(),
    };
    let advice = format!(
        "kubectl --context {} -n {} logs deployment/kiali-operator --tail=50",
        scope.cluster.context, scope.namespace
    );
    let wait = Wait {
        seen,
        quiet: QUIET,
        advice: &advice,
        ..Wait::for_object(api(scope), ObjectId::new("Kiali", scope.namespace, name))
    };
    let operator = Wait {
        absent: true,
        ..Wait::for_object(operators(scope), operator_id(scope))
    };
    tokio::select! {
        settled = wait::until(scope, wait, |kiali| fence.judge(kiali)) => settled.map(drop),
        // One that cannot start will never say anything of the CR.
        broken = pods::hopeless(scope, operator, OPERATOR_PODS) => Err(broken),
    }
}

fn operators(scope: &Scope<'_>) -> Api<Deployment> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

fn operator_id(scope: &Scope<'_>) -> ObjectId {
    ObjectId::new("Deployment", scope.namespace, OPERATOR)
}

/// Has the operator try again at once what it failed to do: its cause may be gone, and its own pauses
/// grow to a quarter of an hour.
async fn again(scope: &Scope<'_>, name: &str, stuck: &Kiali) -> Result<Kiali> {
    let any_new_value = &stuck.metadata.resource_version;
    let touch = json!({"metadata": {"annotations": {"kiali.io/reconcile": any_new_value}}});
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PatchParams::default()
    };
    let object = ObjectId::new("Kiali", scope.namespace, name);
    let (api, touch) = (api(scope), Patch::Merge(touch));
    Ok(send(scope, &object, || api.patch(name, &params, &touch)).await?)
}

fn api(scope: &Scope<'_>) -> Api<Kiali> {
    Api::namespaced_with(
        scope.cluster.client.clone(),
        scope.namespace,
        &kinds::kiali(),
    )
}

/// Deletes the CR if it is ours and waits until its finalizer has run.
pub async fn remove(scope: &Scope<'_>, cr: &Value) -> Result<Removed> {
    let id = kinds::id(cr)?;
    let removed = delete::delete(scope, cr).await?;
    if removed != Removed::Deleted {
        return Ok(removed);
    }
    let wait = Wait::for_object(api(scope), id.clone());
    let gone = wait::until(scope, wait, |kiali| match kiali {
        None => Health::Ready,
        Some(_) => Health::InProgress("the operator runs its finalizer kiali.io/finalizer".into()),
    });
    match tokio::time::timeout(scope.deadline.at_most(REMOVAL), gone).await {
        Ok(gone) => gone.map(|_| removed),
        Err(_) => Err(hangs(scope, &id).await.into()),
    }
}

/// What became of the CR, for its line.
pub fn said(removed: Removed) -> &'static str {
    match removed {
        Removed::Deleted => "removed with what the operator made for it",
        Removed::Missing => "nothing there",
        Removed::Foreign => "kept (not ours)",
    }
}

async fn hangs(scope: &Scope<'_>, id: &ObjectId) -> Problem {
    let (api, operator) = (operators(scope), operator_id(scope));
    let operator = super::look::look(scope, &api, operator, health::deployment).await;
    let why = match &operator.health {
        Health::Ready => "the operator is ready but does not finish it".into(),
        Health::InProgress(why) | Health::Failed(why) => {
            format!("{} which would run it: {why}", operator.object)
        }
    };
    Problem::new(
        Exit::Leftovers,
        format!("{}: {id} still has finalizer kiali.io/finalizer after {} s; {why}", scope.cluster.name, REMOVAL.as_secs()),
    )
    .fix(format!(
        "bring the operator up and run cleanup again: kubectl --context {} -n {} rollout status deployment/kiali-operator",
        scope.cluster.context, scope.namespace
    ))
}
