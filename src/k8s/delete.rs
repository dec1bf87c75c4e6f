//! Deletes our objects. One rule applies to every object, in a dry run too: the built-in inventory lists it, the
//! record names it, and the live object has the label of this install, or lost it to admission. The record alone does
//! not suffice, because others can write it; nor do labels alone. An adopted object is deleted only with --adopted, and
//! only if its UID is the recorded one. A claim is deleted only with --delete-data, in every case.

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Preconditions};
use kube::core::Status;
use serde_json::Value;

use super::record::{Entry, Key, Origin};
use super::request::change;
use super::{Scope, kinds, ownership, write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    Deleted,
    Missing,
    /// It existed before the install, or another tool recreated it.
    Foreign,
    /// It holds data, and nobody asked to delete that.
    Kept,
}

/// Deletes one object if it is ours, without waiting until it is gone.
pub async fn delete(scope: &Scope<'_>, object: &Value) -> Result<Removed> {
    match judge(scope, object).await? {
        Judged::Ours(uid) => gone(scope, &Key::of(object), &uid).await,
        Judged::Stays(removed) => Ok(removed),
    }
}

/// Deletes an object that was judged to be ours.
async fn gone(scope: &Scope<'_>, key: &Key, uid: &str) -> Result<Removed> {
    if scope.choices.dry_run || by_uid(scope, key, uid).await? {
        scope.record.removed(scope.progress.step(), key, uid);
        return Ok(Removed::Deleted);
    }
    // Another tool has recreated it since it was read.
    scope.record.forget(key);
    Ok(Removed::Foreign)
}

enum Judged {
    /// UID of the live object.
    Ours(String),
    Stays(Removed),
}

async fn judge(scope: &Scope<'_>, object: &Value) -> Result<Judged> {
    let key = Key::of(object);
    let Some(entry) = scope.record.entry(object) else {
        return Ok(Judged::Stays(Removed::Missing));
    };
    if entry.origin == Origin::Adopted && !scope.choices.adopted {
        return Ok(Judged::Stays(Removed::Foreign));
    }
    let keeps = key.is_data() && !scope.choices.delete_data;
    let Some(live) = write::read(scope, &key.object(), &key.id()).await? else {
        scope.record.forget(&key);
        return Ok(Judged::Stays(Removed::Missing));
    };
    let meta = ownership::meta(&live);
    if may_delete(scope, &entry, &meta) {
        if keeps {
            return Ok(Judged::Stays(Removed::Kept));
        }
        return Ok(Judged::Ours(meta.uid.unwrap_or_default()));
    }
    // The entry is useless now, unless it records an adopted object.
    if entry.origin == Origin::Created {
        scope.record.not_ours(&entry, &meta);
    }
    Ok(Judged::Stays(Removed::Foreign))
}

/// Deletes objects that another deletion, which runs first, may delete too.
pub async fn delete_after(
    scope: &Scope<'_>,
    objects: &[Value],
    first: impl Future<Output = Result<Removed>>,
) -> Result<Removed> {
    let mut ours = Vec::new();
    for object in objects {
        if let Judged::Ours(uid) = judge(scope, object).await? {
            ours.push((object, uid));
        }
    }
    let removed = first.await?;
    for (object, uid) in ours {
        gone(scope, &Key::of(object), &uid).await?;
    }
    Ok(removed)
}

/// Whether the object may be deleted; see the head of this module.
fn may_delete(scope: &Scope<'_>, entry: &Entry, live: &ObjectMeta) -> bool {
    let inventory = &scope.record.inventory;
    match entry.origin {
        Origin::Created => inventory.has(&entry.key) && scope.record.owns(&entry.key, live),
        Origin::Adopted => {
            let same = entry.uid.is_some() && entry.uid == live.uid;
            scope.choices.adopted && inventory.can_be_adopted(&entry.key) && same
        }
    }
}

/// Deletes by UID. Returns false if the name has another UID now.
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
                // A terminating namespace rejects another deletion.
                Some(now) if now["metadata"]["deletionTimestamp"].is_string() => Ok(true),
                Some(now) if now["metadata"]["uid"] == uid => Err(refusal.into()),
                Some(_) => Ok(false),
                None => Ok(true),
            }
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// Deletes an object that the operator created and that was just read.
pub async fn delete_for_operator(scope: &Scope<'_>, key: &Key, meta: &ObjectMeta) -> Result<()> {
    if !scope.record.inventory.is_operators(key) {
        return Ok(());
    }
    let uid = meta.uid.as_deref().unwrap_or_default();
    if scope.choices.dry_run || by_uid(scope, key, uid).await? {
        scope.record.removed(scope.progress.step(), key, uid);
    }
    Ok(())
}

/// Deletes several objects concurrently.
pub async fn delete_all(scope: &Scope<'_>, objects: &[Value]) -> Result<Vec<Removed>> {
    futures::future::try_join_all(objects.iter().map(|object| delete(scope, object))).await
}

/// Deletes those of all `possible` objects of a step that are not wanted: the option that added them is off now.
pub async fn delete_unwanted(
    scope: &Scope<'_>,
    possible: Vec<Value>,
    wanted: &[Value],
) -> Result<()> {
    delete_all(scope, &unwanted(possible, wanted)).await?;
    Ok(())
}

/// The `possible` objects that are not wanted, but for those that hold data: they stay when an option is off.
pub fn unwanted(mut possible: Vec<Value>, wanted: &[Value]) -> Vec<Value> {
    let wanted = wanted.iter().map(Key::of).collect::<Vec<_>>();
    possible.retain(|object| {
        let key = Key::of(object);
        !wanted.contains(&key) && !key.is_data()
    });
    possible
}

/// Summarises the deletions of a step, as in "removed 5, kept 1 (not ours)".
pub fn summary(scope: &Scope<'_>, removed: &[Removed]) -> String {
    let count = |what| removed.iter().filter(|r| **r == what).count();
    let would = if scope.choices.dry_run {
        "would be "
    } else {
        ""
    };
    let said = [
        (count(Removed::Deleted), format!("{would}removed"), ""),
        (count(Removed::Foreign), "kept".into(), " (not ours)"),
        (count(Removed::Kept), "kept".into(), " (data)"),
    ];
    let said = said.into_iter().filter(|(count, ..)| *count > 0);
    let said = said.map(|(count, what, why)| format!("{what} {count}{why}"));
    match said.collect::<Vec<_>>() {
        said if said.is_empty() => "nothing to remove".into(),
        said => said.join(", "),
    }
}
