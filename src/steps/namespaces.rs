//! § Prepare for Kiali deployment: the namespace of Kiali in each cluster. An existing namespace is used without
//! adding our labels, so that a cleanup leaves it.

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::{Value, json};

use crate::k8s::apply::{self, Before, Outcome};
use crate::k8s::delete::{self, Removed};
use crate::k8s::health::{self, Health};
use crate::k8s::look::{Component, look};
use crate::k8s::namespaces::{self, Reason};
use crate::k8s::{Scope, contents, kinds, record, write};
use crate::manifests;
use crate::progress::ObjectId;

pub fn object(namespace: &str) -> Result<Value> {
    manifests::render_one(manifests::NAMESPACE, json!({"namespace": namespace}))
}

/// Returns whether the namespace may already contain objects, and opens the record in it. A namespace that is being
/// deleted accepts no new objects, so this waits until it is gone.
pub async fn install(scope: &Scope<'_>) -> Result<Before> {
    let object = object(scope.namespace)?;
    let id = kinds::id(&object)?;
    let mut there = match scope.seen(&object) {
        Some(seen) => seen.cloned(),
        None => write::read(scope, &object, &id).await?,
    };
    if let Some(live) = there.take_if(|live| live["metadata"]["deletionTimestamp"].is_string()) {
        namespaces::gone(scope, scope.namespace, Some(&live)).await?;
    }
    let live = match there {
        Some(live) => live,
        None => {
            let applied = apply::apply(scope, &object, Before::Nothing).await?;
            if applied.outcome == Outcome::Created {
                scope.progress.done(format!("{} created", scope.namespace));
                return Ok(Before::Nothing);
            }
            // Somebody created it meanwhile.
            applied.live
        }
    };
    let found = record::open_to_write(scope).await?;
    let whose = if scope.record.is_ours(&live) {
        apply::keep(scope, &object, &live)?;
        "already exists"
    } else {
        apply::reuse(scope, &object, &live)?;
        "existed before, used unchanged"
    };
    let said = format!("{} {whose}", scope.namespace);
    let said = std::iter::once(said).chain(found.said());
    let said = said.chain(scope.record.doubts());
    scope.progress.done(said.collect::<Vec<_>>().join("; "));
    Ok(Before::Unknown)
}

pub async fn status(scope: &Scope<'_>) -> Vec<Component> {
    let api = Api::<Namespace>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("Namespace", scope.namespace);
    vec![
        look(scope, &api, object, |namespace| match namespace {
            Some(n) if n.metadata.deletion_timestamp.is_some() => {
                Health::InProgress(format!("being deleted: {}", namespaces::remains(n)))
            }
            other => health::present(other),
        })
        .await,
    ]
}

/// Removes the namespace with its record if it is ours and contains nothing foreign, else only the record. Returns
/// why the namespace stays.
pub async fn remove(scope: &Scope<'_>) -> Result<Option<Reason>> {
    let namespace = scope.namespace;
    let object = object(namespace)?;
    let stays = stays(scope, &object).await?;
    let said = match &stays {
        Some(Stays { said, .. }) => {
            record::remove(scope).await?;
            said.clone()
        }
        None => {
            if delete::delete(scope, &object).await? == Removed::Deleted {
                namespaces::gone(scope, namespace, None).await?;
            }
            match scope.choices.dry_run {
                true => format!("would be removed {namespace}"),
                false => format!("removed {namespace}"),
            }
        }
    };
    scope.progress.done(said);
    Ok(stays.and_then(|stays| stays.reason))
}

/// Why the namespace stays.
struct Stays {
    said: String,
    /// What our namespace still contains.
    reason: Option<Reason>,
}

async fn stays(scope: &Scope<'_>, object: &Value) -> Result<Option<Stays>> {
    let namespace = scope.namespace;
    let without_reason = |said: String| {
        let reason = None;
        Ok(Some(Stays { said, reason }))
    };
    match write::read(scope, object, &kinds::id(object)?).await? {
        None => return without_reason("nothing to remove".into()),
        Some(live) if !scope.record.is_ours(&live) && !scope.choices.adopted => {
            return without_reason(format!("kept {namespace} (not ours)"));
        }
        // The record may be lost, but the labels of the namespace show that it is ours.
        Some(live) if scope.record.is_ours(&live) => scope.record.created(object, &live),
        Some(_) => {}
    }
    let held = contents::of_namespace(scope, namespace).await?;
    Ok(namespaces::kept_because(&held).map(|reason| Stays {
        said: format!("kept {namespace}: {}", reason.text),
        reason: Some(reason),
    }))
}
