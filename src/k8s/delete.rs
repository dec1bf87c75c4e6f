//! Removing what carries our label, by UID: an object that somebody else made again in the meantime
//! is left alone, and one that is gone already is fine.

use anyhow::Result;
use kube::api::{DeleteParams, Preconditions};
use kube::core::Status;
use serde_json::Value;

use super::request::send;
use super::{Scope, apply, kinds};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    Deleted,
    Missing,
    /// It does not carry our label.
    Foreign,
}

/// Deletes one object if it is ours; does not wait until it is gone.
pub async fn delete(scope: &Scope<'_>, object: &Value) -> Result<Removed> {
    let id = kinds::id(object)?;
    let Some(live) = apply::read(scope, object, &id).await? else {
        return Ok(Removed::Missing);
    };
    if !apply::is_ours(&live) {
        return Ok(Removed::Foreign);
    }
    let params = DeleteParams::background().preconditions(Preconditions {
        uid: live["metadata"]["uid"].as_str().map(Into::into),
        resource_version: None,
    });
    let api = kinds::api(&scope.cluster.client, object)?;
    match send(scope, &id, || api.delete(&id.name, &params)).await {
        Ok(_) => Ok(Removed::Deleted),
        // It was there: the answer to a first try may have been lost.
        Err(refusal) if refusal.is_missing() => Ok(Removed::Deleted),
        // Same name, another UID; or a namespace that is going already.
        Err(refusal) if refusal.status().is_some_and(Status::is_conflict) => {
            match apply::read(scope, object, &id).await? {
                Some(now) if now["metadata"]["uid"] != live["metadata"]["uid"] => {
                    Ok(Removed::Foreign)
                }
                Some(now) if now["metadata"]["deletionTimestamp"].is_null() => Err(refusal.into()),
                _ => Ok(Removed::Deleted),
            }
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// All at once.
pub async fn delete_all(scope: &Scope<'_>, objects: &[Value]) -> Result<Vec<Removed>> {
    futures::future::try_join_all(objects.iter().map(|object| delete(scope, object))).await
}

/// "removed 5, kept 1 (not ours)", "nothing there": what a step did, for its line.
pub fn summary(removed: &[Removed]) -> String {
    let count = |what| removed.iter().filter(|r| **r == what).count();
    match (count(Removed::Deleted), count(Removed::Foreign)) {
        (0, 0) => "nothing there".into(),
        (deleted, 0) => format!("removed {deleted}"),
        (0, kept) => format!("kept {kept} (not ours)"),
        (deleted, kept) => format!("removed {deleted}, kept {kept} (not ours)"),
    }
}
