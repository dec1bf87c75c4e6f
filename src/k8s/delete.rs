//! Removing what the record says we created, by UID: an object that somebody else made again in the
//! meantime is left alone, and one that is gone already is fine.

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Preconditions};
use kube::core::Status;
use serde_json::Value;

use super::record::{Entry, Key, Origin};
use super::request::change;
use super::{Scope, kinds, write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    Deleted,
    Missing,
    /// It was there before us, or somebody else made it again.
    Foreign,
}

/// Deletes one object if the record says that it is ours; does not wait until it is gone.
pub async fn delete(scope: &Scope<'_>, object: &Value) -> Result<Removed> {
    let Some(entry) = scope.record.entry(object) else {
        return Ok(Removed::Missing);
    };
    if entry.origin == Origin::Adopted && !scope.choices.adopted {
        return Ok(Removed::Foreign);
    }
    let key = Key::of(object);
    let known = entry.uid.clone().filter(|_| !scope.choices.dry_run);
    let uid = match known {
        Some(uid) => uid,
        // It was about to be made, or nothing may be done: is it there?
        None => match look(scope, &entry).await? {
            Look::At(uid) => uid,
            Look::Away(removed) => return Ok(removed),
        },
    };
    if scope.choices.dry_run || by_uid(scope, &key, &uid).await? {
        scope.record.removed(scope.progress.step(), &key);
        return Ok(Removed::Deleted);
    }
    // Another UID under that name: ours again after a run that was cut short, or somebody else's.
    match look(scope, &entry).await? {
        Look::At(now) if now != uid && by_uid(scope, &key, &now).await? => {
            scope.record.removed(scope.progress.step(), &key);
            Ok(Removed::Deleted)
        }
        Look::At(_) => Ok(Removed::Foreign),
        Look::Away(removed) => Ok(removed),
    }
}

enum Look {
    At(String),
    Away(Removed),
}

async fn look(scope: &Scope<'_>, entry: &Entry) -> Result<Look> {
    let object = entry.key.object();
    let live = write::read(scope, &object, &entry.key.id()).await?;
    let uid = |live: &Value| {
        live["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_string()
    };
    Ok(match live {
        None => {
            scope.record.forget(&entry.key);
            Look::Away(Removed::Missing)
        }
        Some(live) if entry.origin == Origin::Created && !scope.record.is_ours(&live) => {
            scope.record.forget(&entry.key);
            Look::Away(Removed::Foreign)
        }
        Some(live) if entry.origin == Origin::Adopted && entry.uid != Some(uid(&live)) => {
            Look::Away(Removed::Foreign)
        }
        Some(live) => Look::At(uid(&live)),
    })
}

/// Whether it goes, or is gone; not when the name has another UID now.
async fn by_uid(scope: &Scope<'_>, key: &Key, uid: &str) -> Result<bool> {
    let (id, object) = (key.id(), key.object());
    let api = kinds::api(&scope.cluster.client, &object)?;
    let params = DeleteParams::background().preconditions(Preconditions {
        uid: Some(uid.into()),
        resource_version: None,
    });
    match change(scope, &id, || api.delete(&id.name, &params)).await? {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.is_missing() => Ok(true),
        Err(refusal) if refusal.status().is_some_and(Status::is_conflict) => {
            match write::read(scope, &object, &id).await? {
                // A namespace that is going already refuses to go once more.
                Some(now) if now["metadata"]["deletionTimestamp"].is_string() => Ok(true),
                Some(now) if now["metadata"]["uid"] == uid => Err(refusal.into()),
                Some(_) => Ok(false),
                None => Ok(true),
            }
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// One that was just looked at, whoever made it.
pub async fn by_meta(scope: &Scope<'_>, key: &Key, meta: &ObjectMeta) -> Result<()> {
    by_uid(scope, key, meta.uid.as_deref().unwrap_or_default()).await?;
    scope.record.removed(scope.progress.step(), key);
    Ok(())
}

/// All at once.
pub async fn delete_all(scope: &Scope<'_>, objects: &[Value]) -> Result<Vec<Removed>> {
    futures::future::try_join_all(objects.iter().map(|object| delete(scope, object))).await
}

/// "removed 5, kept 1 (not ours)", "nothing there": what a step did, for its line.
pub fn summary(scope: &Scope<'_>, removed: &[Removed]) -> String {
    let count = |what| removed.iter().filter(|r| **r == what).count();
    let would = if scope.choices.dry_run {
        "would be "
    } else {
        ""
    };
    match (count(Removed::Deleted), count(Removed::Foreign)) {
        (0, 0) => "nothing there".into(),
        (deleted, 0) => format!("{would}removed {deleted}"),
        (0, kept) => format!("kept {kept} (not ours)"),
        (deleted, kept) => format!("{would}removed {deleted}, kept {kept} (not ours)"),
    }
}
