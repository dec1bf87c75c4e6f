//! Removes a Kiali CR. The operator runs its finalizer. Without a running operator the CR would stay forever, so
//! this is detected and reported, and with --force-finalizers the operator's work is done here.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{ListParams, Patch};
use serde_json::{Value, json};

use super::api;
use crate::k8s::delete::{self, Removed};
use crate::k8s::health::{self, Health};
use crate::k8s::record::Key;
use crate::k8s::request::{change, send, send_opt};
use crate::k8s::wait::{self, Goal, Wait};
use crate::k8s::{Scope, as_ourselves, contents, kinds};
use crate::mesh::pages;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

const FINALIZER: &str = "kiali.io/finalizer";
/// Label of every operator installed from the published chart, in any namespace.
const OPERATOR: &str = "app.kubernetes.io/name=kiali-operator";
/// A live operator takes about six seconds.
const REMOVAL: Duration = Duration::from_secs(90);
/// How often to check for an operator: a rollout or a node change may leave it without a pod for a moment.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const MAX_MISSES: usize = 5;

/// Deletes the CR if it is ours and waits until its finalizer has run.
pub async fn remove(scope: &Scope<'_>, cr: &Value) -> Result<Removed> {
    let removed = delete::delete(scope, cr).await?;
    if removed != Removed::Deleted {
        return Ok(removed);
    }
    let id = kinds::id(cr)?;
    if scope.choices.dry_run {
        if scope.choices.force_finalizers && missing_operator(scope).await?.is_some() {
            for (key, meta) in made_by_operator(scope, &id).await? {
                delete::delete_for_operator(scope, &key, &meta).await?;
            }
        }
        return Ok(removed);
    }
    let why = tokio::select! {
        gone = gone(scope, &id) => return gone.map(|()| removed),
        why = until_no_operator(scope) => why?,
        () = tokio::time::sleep(scope.deadline.at_most(REMOVAL)) => {
            "the operator is ready but does not complete it".to_string()
        }
    };
    let made = made_by_operator(scope, &id).await?;
    if !scope.choices.force_finalizers {
        return Err(stuck_finalizer(scope, &id, &why, &made).into());
    }
    run_finalizer(scope, &id, &made).await?;
    gone(scope, &id).await?;
    Ok(removed)
}

/// Describes what happened to the CR.
pub fn describe_removal(scope: &Scope<'_>, removed: Removed) -> &'static str {
    match removed {
        Removed::Deleted if scope.choices.dry_run => {
            "would be removed with the objects that the operator created for it"
        }
        Removed::Deleted => "removed with the objects that the operator created for it",
        Removed::Missing => "nothing to remove",
        Removed::Foreign | Removed::Kept => "kept (not ours)",
    }
}

async fn gone(scope: &Scope<'_>, id: &ObjectId) -> Result<()> {
    let wait = Wait {
        goal: Goal::Gone,
        ..Wait::for_object(api(scope), id.clone())
    };
    let judged = wait::until(scope, wait, |kiali| match kiali {
        None => Health::Ready,
        Some(_) => Health::InProgress(format!(
            "waiting for the operator to run finalizer {FINALIZER}"
        )),
    });
    judged.await.map(drop)
}

/// Returns the reason once no operator has been running for a while.
async fn until_no_operator(scope: &Scope<'_>) -> Result<String> {
    let mut misses = 0;
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        match missing_operator(scope).await? {
            Some(why) if misses + 1 >= MAX_MISSES => return Ok(why),
            Some(_) => misses += 1,
            None => misses = 0,
        }
    }
}

async fn missing_operator(scope: &Scope<'_>) -> Result<Option<String>> {
    let operators = Api::<Deployment>::all(scope.cluster.client.clone());
    let list = ListParams::default().labels(OPERATOR);
    let object = ObjectId::cluster_wide("Deployments", OPERATOR);
    let found = send(scope, &object, || pages::list(&operators, &list)).await?;
    let judged = found.iter().map(|d| (d, health::deployment(Some(d))));
    let mut why = "no operator is installed".to_string();
    for (operator, health) in judged {
        match health {
            Health::InProgress(cause) | Health::Failed(cause) if !serves(operator) => {
                let name = operator.metadata.name.as_deref().unwrap_or_default();
                let namespace = operator.metadata.namespace.as_deref().unwrap_or_default();
                why = format!("Deployment {namespace}/{name}: {cause}");
            }
            Health::Ready if !serves(operator) => {
                let namespace = operator.metadata.namespace.as_deref().unwrap_or_default();
                why = format!("Deployment {namespace}/kiali-operator is scaled to 0");
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(why))
}

fn serves(operator: &Deployment) -> bool {
    let status = operator.status.as_ref();
    status.and_then(|s| s.ready_replicas).unwrap_or(0) > 0
}

/// All objects that the operator can create for a Kiali CR in this namespace.
pub fn objects_of_operator(namespace: &str) -> Vec<Value> {
    let named = |api: &str, kind: &str, name: &str| {
        let metadata = match kind.starts_with("ClusterRole") {
            true => json!({"name": name}),
            false => json!({"name": name, "namespace": namespace}),
        };
        json!({"apiVersion": api, "kind": kind, "metadata": metadata})
    };
    let rbac = "rbac.authorization.k8s.io/v1";
    vec![
        named("v1", "ConfigMap", "kiali"),
        named("v1", "Secret", "kiali-signing-key"),
        named("v1", "Service", "kiali"),
        named("v1", "ServiceAccount", super::ACCOUNT),
        named("apps/v1", "Deployment", "kiali"),
        named("autoscaling/v2", "HorizontalPodAutoscaler", "kiali"),
        named("networking.k8s.io/v1", "Ingress", "kiali"),
        named("networking.k8s.io/v1", "NetworkPolicy", "kiali"),
        named("policy/v1", "PodDisruptionBudget", "kiali"),
        named("route.openshift.io/v1", "Route", "kiali"),
        named(rbac, "ClusterRole", "kiali"),
        named(rbac, "ClusterRole", "kiali-viewer"),
        named(rbac, "ClusterRoleBinding", "kiali"),
        named(rbac, "Role", "kiali"),
        named(rbac, "RoleBinding", "kiali"),
    ]
}

/// The objects that the operator would delete with this CR, found by its labels, annotations and owner references.
/// These can be copied onto any object, so they count only on objects that the operator can create.
async fn made_by_operator(scope: &Scope<'_>, cr: &ObjectId) -> Result<Vec<(Key, ObjectMeta)>> {
    let namespace = cr.namespace.as_deref().unwrap_or_default();
    let crs = api(scope);
    let live = send_opt(scope, cr, || crs.get(&cr.name)).await?;
    let uid = live.and_then(|kiali| kiali.metadata.uid);
    let primary = format!("{namespace}/{}", cr.name);
    let mut made = contents::with_label(scope, "app.kubernetes.io/part-of=kiali").await?;
    made.retain(|(_, meta)| {
        let owners = meta.owner_references.iter().flatten();
        let owned = owners
            .into_iter()
            .any(|owner| Some(&owner.uid) == uid.as_ref());
        let annotations = meta.annotations.iter().flatten();
        let marked = annotations
            .into_iter()
            .any(|(key, value)| key == "operator-sdk/primary-resource" && *value == primary);
        owned || marked
    });
    // The Secret with the session key has a label of its own.
    let home = format!("kiali.io/{}.home={namespace}", cr.name);
    made.extend(contents::with_label(scope, &home).await?);
    made.retain(|(key, _)| scope.record.inventory.is_operators(key));
    made.sort_by_key(|(key, _)| key.id());
    Ok(made)
}

fn stuck_finalizer(
    scope: &Scope<'_>,
    id: &ObjectId,
    why: &str,
    made: &[(Key, ObjectMeta)],
) -> Problem {
    let cluster = &scope.cluster.name;
    let made = made.iter().map(|(key, _)| key.id().to_string());
    let made = made.collect::<Vec<_>>().join(", ");
    Problem::new(
        Exit::Partial,
        format!("{cluster}: {id} has finalizer {FINALIZER}, which no operator runs: {why}"),
    )
    .fix(format!(
        "start an operator and run cleanup again ({} -n {} rollout status deployment/kiali-operator), \
         or let ambikiali do its work: ambikiali cleanup --force-finalizers removes {made} and the finalizer",
        scope.cluster.kubectl, scope.namespace
    ))
}

/// Deletes each object by UID and removes the finalizer last: while it exists, the rest can still be found.
async fn run_finalizer(scope: &Scope<'_>, cr: &ObjectId, made: &[(Key, ObjectMeta)]) -> Result<()> {
    let names = made.iter().map(|(key, _)| key.id().to_string());
    let names = names.collect::<Vec<_>>().join(", ");
    let note = format!("no operator runs the finalizer of {cr}; ambikiali removed: {names}");
    scope.progress.note(note);
    try_join_all(
        made.iter()
            .map(|(key, meta)| delete::delete_for_operator(scope, key, meta)),
    )
    .await?;
    let crs = api(scope);
    let Some(live) = send_opt(scope, cr, || crs.get(&cr.name)).await? else {
        return Ok(());
    };
    let mut kept = live.metadata.finalizers.unwrap_or_default();
    kept.retain(|finalizer| finalizer != FINALIZER);
    // Only for the version of the CR that was read.
    let metadata = json!({
        "uid": live.metadata.uid,
        "resourceVersion": live.metadata.resource_version,
        "finalizers": kept,
    });
    let patch = Patch::Merge(json!({"metadata": metadata}));
    let by = as_ourselves();
    match change(scope, cr, || crs.patch(&cr.name, &by, &patch)).await? {
        Err(refusal) if !refusal.is_missing() => Err(refusal.into()),
        _ => Ok(()),
    }
}
