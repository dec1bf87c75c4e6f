//! § Prepare for Kiali deployment: a namespace of its own in each cluster. One that is there is
//! used, and carries no label of ours, which is how a cleanup knows to leave it.

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::{Value, json};

use crate::k8s::apply::{self, Before};
use crate::k8s::delete::{self, Removed};
use crate::k8s::health::{self, Health};
use crate::k8s::look::{Component, look};
use crate::k8s::wait::{self, Goal, Wait};
use crate::k8s::{Scope, contents, kinds, record};
use crate::manifests;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

pub fn object(namespace: &str) -> Result<Value> {
    let mut objects = manifests::render(manifests::NAMESPACE, json!({"namespace": namespace}))?;
    Ok(objects.swap_remove(0))
}

/// Returns whether anything can be in the namespace already; then the record that it holds is opened.
pub async fn install(scope: &Scope<'_>) -> Result<Before> {
    let object = object(scope.namespace)?;
    let id = kinds::id(&object)?;
    let Some(live) = apply::read(scope, &object, &id).await? else {
        apply::apply(scope, &object, Before::Nothing).await?;
        scope.progress.done(format!("{} created", scope.namespace));
        return Ok(Before::Nothing);
    };
    if !live["metadata"]["deletionTimestamp"].is_null() {
        return Err(terminating(scope, &live).into());
    }
    let found = record::open(scope).await?;
    let whose = if scope.record.is_ours(&live) {
        scope.record.created(&object, &live);
        "there already"
    } else {
        scope.record.adopted(&live);
        "there before, used and left as it is"
    };
    let said = format!("{} is {whose}", scope.namespace);
    let said = std::iter::once(said).chain(found.said());
    scope.progress.done(said.collect::<Vec<_>>().join("; "));
    Ok(Before::Unknown)
}

fn terminating(scope: &Scope<'_>, live: &Value) -> Problem {
    let conditions = live["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let why = conditions
        .filter(|c| c["status"] == "True")
        .filter_map(|c| c["message"].as_str());
    let why = why.collect::<Vec<_>>().join("; ");
    let why = if why.is_empty() {
        "its contents are still going".into()
    } else {
        why
    };
    Problem::new(
        Exit::Preflight,
        format!(
            "{}: namespace {} is being deleted: {why}",
            scope.cluster.name, scope.namespace
        ),
    )
    .fix(format!(
        "kubectl --context {} wait --for=delete namespace/{} --timeout=5m",
        scope.cluster.context, scope.namespace
    ))
}

pub async fn status(scope: &Scope<'_>) -> Vec<Component> {
    let api = Api::<Namespace>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("Namespace", scope.namespace);
    vec![
        look(scope, &api, object, |namespace| match namespace {
            Some(n) if n.metadata.deletion_timestamp.is_some() => {
                Health::InProgress("being deleted".into())
            }
            other => health::present(other),
        })
        .await,
    ]
}

/// Only ours goes, and only when nothing foreign is in it: says what kept it otherwise. The record goes
/// with it, or alone.
pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let said = match kept_for(scope).await? {
        Some(reason) => {
            record::remove(scope).await?;
            reason
        }
        None => {
            let object = object(scope.namespace)?;
            if delete::delete(scope, &object).await? == Removed::Deleted {
                gone(scope).await?;
            }
            match scope.choices.dry_run {
                true => format!("would be removed {}", scope.namespace),
                false => format!("removed {}", scope.namespace),
            }
        }
    };
    scope.progress.done(said);
    Ok(())
}

/// What holds it up is told by its own conditions.
async fn gone(scope: &Scope<'_>) -> Result<()> {
    if scope.choices.dry_run {
        return Ok(());
    }
    let api = Api::<Namespace>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("Namespace", scope.namespace);
    let advice = format!(
        "kubectl --context {} get namespace {} -o yaml",
        scope.cluster.context, scope.namespace
    );
    let wait = Wait {
        advice: &advice,
        goal: Goal::Gone,
        ..Wait::for_object(api, object)
    };
    let judged = wait::until(scope, wait, |namespace| match namespace {
        None => Health::Ready,
        Some(namespace) => Health::InProgress(blockers(namespace)),
    });
    judged.await.map(drop)
}

fn blockers(namespace: &Namespace) -> String {
    let status = namespace.status.as_ref();
    let conditions = status.and_then(|s| s.conditions.as_ref());
    let why = conditions
        .into_iter()
        .flatten()
        .filter(|c| c.status == "True")
        .filter_map(|c| c.message.clone());
    let why = why.collect::<Vec<_>>().join("; ");
    match why.is_empty() {
        true => "its contents are still going".into(),
        false => why,
    }
}

/// Why there is nothing to remove.
async fn kept_for(scope: &Scope<'_>) -> Result<Option<String>> {
    let object = object(scope.namespace)?;
    match apply::read(scope, &object, &kinds::id(&object)?).await? {
        None => return Ok(Some("nothing there".into())),
        Some(live) if !scope.record.is_ours(&live) && !scope.choices.adopted => {
            return Ok(Some(format!("kept {} (not ours)", scope.namespace)));
        }
        // The record may be lost while the namespace says itself whose it is.
        Some(live) if scope.record.is_ours(&live) => scope.record.created(&object, &live),
        Some(_) => {}
    }
    let foreign = contents::of_namespace(scope, scope.namespace).await?;
    let named = foreign
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    Ok((!foreign.is_empty()).then(|| format!("kept {}: it holds {named}", scope.namespace)))
}
