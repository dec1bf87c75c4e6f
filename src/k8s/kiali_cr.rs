//! Kiali CRs, on home and on remotes: waits until the operator has reconciled a CR, and deletes a CR only while an
//! operator can run its finalizer.

mod made;
mod removal;

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::Value;

pub use made::{
    ACCOUNT, bound_for, changes_role, is_for_rights, lacking, missing, report_missing, with_missing,
};
pub use removal::{describe_removal, objects_of_operator, remove};

use super::apply::Applied;
use super::change;
use super::health::{self, Kiali, KialiFence};
use super::wait::{self, Wait};
use super::{Scope, kinds, pods, write};
use crate::progress::ObjectId;

/// Between two runs of the operator, `Successful` of the first one shows for a few milliseconds.
const QUIET: Duration = Duration::from_secs(1);
const RECONCILE: &str = "kiali.io/reconcile";
const OPERATOR: &str = "kiali-operator";
const OPERATOR_PODS: &str = "app.kubernetes.io/name=kiali-operator";

/// Waits until the operator has reconciled this apply. An upgraded operator (`renewed`) reconciles everything
/// again, because it may do so differently.
pub async fn settled(
    scope: &Scope<'_>,
    name: &str,
    applied: &Applied,
    renewed: bool,
) -> Result<()> {
    if scope.choices.dry_run {
        foreseen(scope, name, applied, renewed);
        return Ok(());
    }
    let read = |value: &Value| serde_json::from_value::<Kiali>(value.clone()).ok();
    let (before, mut seen) = (applied.before.as_ref().and_then(read), read(&applied.live));
    let mut fence = match (&before, stuck(applied, renewed)) {
        (Some(_), Some(stuck)) => {
            seen = Some(trigger(scope, name, &stuck).await?);
            KialiFence::changed(Some(&stuck))
        }
        (Some(before), None) if is_due(before, seen.as_ref()) => KialiFence::changed(Some(before)),
        _ => KialiFence::default(),
    };
    let advice = format!(
        "{} -n {} logs deployment/kiali-operator --tail=50",
        scope.cluster.kubectl, scope.namespace
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
        settled = wait::until(scope, wait, |kiali| fence.judge(kiali)) => settled.map(drop)?,
        // An operator that cannot start will never update the CR.
        broken = pods::until_failed(scope, operator, OPERATOR_PODS) => return Err(broken),
    }
    pods::tell_admitted(scope, &operator_id(scope)).await;
    Ok(())
}

/// An existing CR that the operator will not reconcile again by itself.
fn stuck(applied: &Applied, renewed: bool) -> Option<Kiali> {
    let read = |value: &Value| serde_json::from_value::<Kiali>(value.clone()).ok();
    let (before, now) = (read(applied.before.as_ref()?)?, read(&applied.live));
    let stuck = |k: &Kiali| renewed || health::has_failed(k) || health::is_behind(k);
    now.filter(|now| !is_due(&before, Some(now)) && stuck(now))
}

/// Predicts in a dry run what `settled` would write.
fn foreseen(scope: &Scope<'_>, name: &str, applied: &Applied, renewed: bool) {
    if stuck(applied, renewed).is_some() {
        let object = ObjectId::new("Kiali", scope.namespace, name);
        change::annotated(scope, &object, RECONCILE);
    }
}

fn operators(scope: &Scope<'_>) -> Api<Deployment> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

fn operator_id(scope: &Scope<'_>) -> ObjectId {
    ObjectId::new("Deployment", scope.namespace, OPERATOR)
}

/// Whether a change triggers the operator. A label, for example, does not.
fn is_due(before: &Kiali, now: Option<&Kiali>) -> bool {
    let due = |k: &Kiali| (k.metadata.generation, k.metadata.annotations.clone());
    now.is_some_and(|now| due(now) != due(before))
}

/// Triggers the operator at once. The cause of its failure may be fixed, and its own backoff grows to a quarter of
/// an hour; or it may be unclear which change its last run covered.
async fn trigger(scope: &Scope<'_>, name: &str, stuck: &Kiali) -> Result<Kiali> {
    let object = ObjectId::new("Kiali", scope.namespace, name);
    write::touch(scope, &api(scope), &object, RECONCILE, &stuck.metadata).await
}

fn api(scope: &Scope<'_>) -> Api<Kiali> {
    Api::namespaced_with(
        scope.cluster.client.clone(),
        scope.namespace,
        &kinds::kiali(),
    )
}
