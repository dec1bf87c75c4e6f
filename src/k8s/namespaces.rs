//! Namespaces that go: why one must stay, and the wait until one is gone.

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::Value;

use super::Scope;
use super::contents::ForeignObjects;
use super::health::Health;
use super::wait::{self, Goal, Wait};
use crate::progress::ObjectId;
use crate::visible;

/// How many objects a message names.
const NAMED: usize = 20;

/// Why a namespace of ours stays.
pub struct Reason {
    pub text: String,
    /// Only for data that is kept as the user wants it.
    pub as_wanted: bool,
}

/// Why a namespace with these contents stays; None if nothing would be lost with it.
pub fn kept_because(held: &ForeignObjects) -> Option<Reason> {
    let mut reasons = Vec::new();
    let all = held.data.iter().chain(&held.foreign).collect::<Vec<_>>();
    if !all.is_empty() {
        let named = all.iter().take(NAMED).map(ToString::to_string);
        let more = all.len().saturating_sub(NAMED);
        let named = visible::listed(&named.collect::<Vec<_>>(), more);
        reasons.push(format!("it holds {named}"));
    }
    if !held.unlistable.is_empty() {
        let unseen = held.unlistable.join("; ");
        reasons.push(format!(
            "what it holds is not known, as these cannot be listed: {unseen}"
        ));
    }
    (!reasons.is_empty()).then(|| Reason {
        text: reasons.join("; "),
        as_wanted: held.foreign.is_empty() && held.unlistable.is_empty(),
    })
}

/// Waits until the namespace is gone. Its conditions tell what blocks the deletion.
pub async fn gone(scope: &Scope<'_>, name: &str, seen: Option<&Value>) -> Result<()> {
    if scope.choices.dry_run {
        return Ok(());
    }
    let api = Api::<Namespace>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("Namespace", name);
    let advice = format!(
        "free what its conditions name and run the same command again: {} get namespace {name} -o yaml",
        scope.cluster.kubectl
    );
    let wait = Wait {
        seen: seen.and_then(|live| serde_json::from_value(live.clone()).ok()),
        advice: &advice,
        goal: Goal::Gone,
        ..Wait::for_object(api, object)
    };
    let judged = wait::until(scope, wait, |namespace| match namespace {
        Some(namespace) if namespace.metadata.deletion_timestamp.is_some() => {
            Health::InProgress(format!("being deleted: {}", remains(namespace)))
        }
        _ => Health::Ready,
    });
    judged.await.map(drop)
}

/// Why a namespace that is being deleted still exists, according to its conditions.
pub fn remains(namespace: &Namespace) -> String {
    let status = namespace.status.iter();
    let conditions = status.flat_map(|s| s.conditions.iter().flatten());
    let why = conditions
        .filter(|c| c.status == "True")
        .filter_map(|c| c.message.as_deref())
        .collect::<Vec<_>>();
    match why.as_slice() {
        [] => "its contents are still going".into(),
        why => why.join("; "),
    }
}
