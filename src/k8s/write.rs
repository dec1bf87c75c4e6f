//! One object read or written. Before a write the run holds the Lease, and the record names the object.

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ownership::labelled;
use super::request::{RequestError, change, send, send_opt};
use super::{FIELD_MANAGER, Scope, advice, as_ourselves, change, kinds, record, strategy, wait};
use crate::progress::ObjectId;

pub async fn read(scope: &Scope<'_>, object: &Value, id: &ObjectId) -> Result<Option<Value>> {
    let api = kinds::api(&scope.cluster.client, object)?;
    let live = send_opt(scope, id, || api.get(&id.name)).await?;
    let mut live = live.map(serde_json::to_value).transpose()?;
    // A list tells no kinds of its items, and some servers none of a single one.
    if let Some(live) = &mut live {
        live["apiVersion"] = object["apiVersion"].clone();
        live["kind"] = object["kind"].clone();
    }
    Ok(live)
}

/// Whether fields are taken from those who manage them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    No,
    Yes,
}

/// Ok(Err): a conflict, for the caller to judge. Nothing is written that the record does not name;
/// the namespace of Kiali alone comes before the record and the Lease, which are in it.
pub async fn write(
    scope: &Scope<'_>,
    wanted: &Value,
    force: Force,
) -> Result<Result<Value, RequestError>> {
    if scope.choices.dry_run {
        return rehearse(scope, wanted, force).await;
    }
    let holds_record =
        wanted["kind"] == "Namespace" && wanted["metadata"]["name"] == scope.namespace;
    if !holds_record {
        scope.lease.hold(scope.deadline).await?;
        record::cover(scope, wanted).await?;
    }
    patch(scope, wanted, force).await
}

/// The record itself, whoever edited it.
pub async fn write_record(scope: &Scope<'_>, record: &Value) -> Result<()> {
    scope.lease.hold(scope.deadline).await?;
    let record = labelled(record, &scope.record.id);
    patch(scope, &record, Force::Yes).await??;
    Ok(())
}

/// What cannot be asked before its namespace or its kind is there would be as it is wanted.
async fn rehearse(
    scope: &Scope<'_>,
    wanted: &Value,
    force: Force,
) -> Result<Result<Value, RequestError>> {
    match ask(scope, wanted, force).await? {
        Ok(live) => Ok(Ok(live)),
        Err(refusal) if refusal.is_missing() || refusal.is_terminating() => Ok(Ok(wanted.clone())),
        // What the webhook would make of it is not known.
        Err(refusal) if refusal.is_without_dry_run() => {
            let live = read(scope, wanted, &kinds::id(wanted)?).await?;
            Ok(Ok(overlaid(live.unwrap_or(Value::Null), wanted)))
        }
        Err(refusal) => not_written(scope, refusal).await,
    }
}

/// What the server would say to a write, with all that admission has to say.
pub async fn ask(
    scope: &Scope<'_>,
    wanted: &Value,
    force: Force,
) -> Result<Result<Value, RequestError>> {
    let id = kinds::id(wanted)?;
    let api = kinds::api(&scope.cluster.client, wanted)?;
    let params = PatchParams {
        dry_run: true,
        ..params(force)
    };
    let patch = Patch::Apply(wanted);
    match send(scope, &id, || api.patch(&id.name, &params, &patch)).await {
        Ok(live) => Ok(Ok(serde_json::to_value(live)?)),
        Err(refusal) if strategy::change(wanted, &refusal).is_some() => {
            ask_merge(scope, wanted, wanted).await
        }
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// What would become of an object that is there by a merge patch.
pub async fn ask_merge(
    scope: &Scope<'_>,
    object: &Value,
    change: &Value,
) -> Result<Result<Value, RequestError>> {
    let params = PatchParams {
        dry_run: true,
        ..as_ourselves()
    };
    send_merge(scope, object, change, &params).await
}

/// Changes fields of an object of ours as they are, whoever set them.
pub async fn merge(scope: &Scope<'_>, object: &Value, change: &Value) -> Result<Value> {
    scope.lease.hold(scope.deadline).await?;
    record::cover(scope, object).await?;
    match send_merge(scope, object, change, &as_ourselves()).await? {
        Ok(written) => Ok(written),
        Err(refusal) => Err(advice::refused(scope, refusal).await),
    }
}

/// Annotation that makes a controller look at an object of ours again.
pub const RETRY: &str = "ambikiali.dev/retry";

/// Changes an annotation, so that a controller looks at the object again.
pub async fn touch<K>(
    scope: &Scope<'_>,
    api: &Api<K>,
    object: &ObjectId,
    annotation: &str,
    live: &ObjectMeta,
) -> Result<K>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let any_new_value = &live.resource_version;
    let patch = json!({"metadata": {"annotations": {annotation: any_new_value}}});
    let (params, patch) = (as_ourselves(), Patch::Merge(patch));
    change::annotated(scope, object, annotation);
    let written = change(scope, object, || api.patch(&object.name, &params, &patch)).await?;
    Ok(written?)
}

async fn send_merge(
    scope: &Scope<'_>,
    object: &Value,
    change: &Value,
    params: &PatchParams,
) -> Result<Result<Value, RequestError>> {
    let id = kinds::id(object)?;
    let api = kinds::api(&scope.cluster.client, object)?;
    let change = Patch::Merge(change);
    match send(scope, &id, || api.patch(&id.name, params, &change)).await {
        Ok(live) => Ok(Ok(serde_json::to_value(live)?)),
        Err(refusal) => Ok(Err(refusal)),
    }
}

/// As an apply would leave it, by what is wanted alone.
fn overlaid(live: Value, wanted: &Value) -> Value {
    match (live, wanted) {
        (Value::Object(mut live), Value::Object(wanted)) => {
            for (key, value) in wanted {
                let was = live.remove(key).unwrap_or_default();
                live.insert(key.clone(), overlaid(was, value));
            }
            Value::Object(live)
        }
        (_, wanted) => wanted.clone(),
    }
}

fn params(force: Force) -> PatchParams {
    PatchParams {
        force: force == Force::Yes,
        ..PatchParams::apply(FIELD_MANAGER).validation_strict()
    }
}

/// A conflict is for the caller to judge.
async fn not_written(
    scope: &Scope<'_>,
    refusal: RequestError,
) -> Result<Result<Value, RequestError>> {
    match refusal.status().is_some_and(|status| status.code == 409) {
        true => Ok(Err(refusal)),
        false => Err(advice::refused(scope, refusal).await),
    }
}

async fn patch(
    scope: &Scope<'_>,
    wanted: &Value,
    force: Force,
) -> Result<Result<Value, RequestError>> {
    let id = kinds::id(wanted)?;
    let api = kinds::api(&scope.cluster.client, wanted)?;
    let (params, patch) = (params(force), Patch::Apply(wanted));
    let apply = || send(scope, &id, || api.patch(&id.name, &params, &patch));
    let mut applied = wait::until_served(scope, &id, apply).await;
    if let Some(change) = applied
        .as_ref()
        .err()
        .and_then(|refusal| strategy::change(wanted, refusal))
    {
        applied = match send_merge(scope, wanted, &change, &as_ourselves()).await? {
            Ok(_) => send(scope, &id, || api.patch(&id.name, &params, &patch)).await,
            Err(refusal) => Err(refusal),
        };
    }
    match applied {
        Ok(live) => Ok(Ok(serde_json::to_value(live)?)),
        Err(refusal) => not_written(scope, refusal).await,
    }
}
