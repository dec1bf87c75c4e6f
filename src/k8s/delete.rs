//! Removing what is ours. One rule for every object, in a dry run as in a run: the closed list has it,
//! the record names it, and the live object itself carries the label of this install. The record
//! alone decides nothing, since others may write it; nor do labels alone where the record does not name
//! the very object. An object that was there before us goes only with
//! the user's word, and only when it is the very one that was found.

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
    /// It was there before us, or somebody else made it again.
    Foreign,
}

/// Deletes one object if it is ours; does not wait until it is gone.
pub async fn delete(scope: &Scope<'_>, object: &Value) -> Result<Removed> {
    match judge(scope, object).await? {
        Judged::Ours(uid) => gone(scope, &Key::of(object), &uid).await,
        Judged::Stays(removed) => Ok(removed),
    }
}

/// One that was judged.
async fn gone(scope: &Scope<'_>, key: &Key, uid: &str) -> Result<Removed> {
    if scope.choices.dry_run || by_uid(scope, key, uid).await? {
        scope.record.removed(scope.progress.step(), key, uid);
        return Ok(Removed::Deleted);
    }
    // Made again since it was looked at, by somebody else.
    scope.record.forget(key);
    Ok(Removed::Foreign)
}

enum Judged {
    /// The live object's UID.
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
    let Some(live) = write::read(scope, &key.object(), &key.id()).await? else {
        scope.record.forget(&key);
        return Ok(Judged::Stays(Removed::Missing));
    };
    let meta = ownership::meta(&live);
    if may_delete(scope, &entry, &meta) {
        return Ok(Judged::Ours(meta.uid.unwrap_or_default()));
    }
    // What the record says of it is of no more use, unless it tells whose it was before us.
    if entry.origin == Origin::Created {
        scope.record.not_ours(&entry, &meta);
    }
    Ok(Judged::Stays(Removed::Foreign))
}

/// The same for objects that something else may take along that is removed first.
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

/// The rule.
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

/// One that the operator made and that was just looked at.
pub async fn in_place_of_operator(scope: &Scope<'_>, key: &Key, meta: &ObjectMeta) -> Result<()> {
    if !scope.record.inventory.is_operators(key) {
        return Ok(());
    }
    let uid = meta.uid.as_deref().unwrap_or_default();
    if scope.choices.dry_run || by_uid(scope, key, uid).await? {
        scope.record.removed(scope.progress.step(), key, uid);
    }
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
