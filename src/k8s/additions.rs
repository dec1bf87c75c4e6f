//! Fields that others added to our objects. An apply does not remove fields of other managers, and comparing with
//! the manifest does not reveal them. So the live object is compared with the result of a fresh apply of the
//! same manifest, which the API server returns in a dry run.

mod admission;
mod defaults;
mod path;

use anyhow::Result;
use kube::api::PostParams;
use kube::core::DynamicObject;
use serde_json::{Map, Value, json};

use super::ownership::{self, labelled};
use super::request::send;
use super::write::{self, merge};
use super::{FIELD_MANAGER, Scope, kinds};
use crate::visible;
pub use admission::{changed, changed_pod};
pub use path::Path;
use path::{differing, extras, merge_patch, reset};

/// How many fields a message lists.
const SHOWN: usize = 3;

/// The added fields, and the result of a fresh apply.
#[derive(Clone, Debug)]
pub struct Additions {
    pub paths: Vec<Path>,
    fresh: Value,
}

impl Additions {
    /// The fields for a message: `.spec.a, .spec.b`.
    pub fn fields(&self) -> String {
        listed(&self.paths)
    }

    /// Who added them according to managedFields: " by kubectl-edit at 2026-01-02T03:04:05Z".
    pub fn by(&self, live: &Value) -> String {
        let meta = ownership::meta(live);
        let of_first = |fields: &Value| self.paths.first().is_some_and(|path| path.is_in(fields));
        let mut owners = ownership::managers(&meta)
            .filter(|entry| {
                entry
                    .fields_v1
                    .as_ref()
                    .is_some_and(|fields| of_first(&fields.0))
            })
            .collect::<Vec<_>>();
        owners.sort_by_key(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
        let Some(entry) = owners.first() else {
            return String::new();
        };
        let manager = entry.manager.as_deref().unwrap_or("somebody");
        let time = entry.time.as_ref();
        let at = time.map_or(String::new(), |time| format!(" at {}", time.0));
        format!(" by {manager}{at}")
    }

    /// The first added field that the object still has.
    pub fn still_in(&self, live: &Value) -> Option<&Path> {
        let left = differing(&comparable(live), &self.fresh);
        self.paths
            .iter()
            .find(|path| left.iter().any(|l| l.meets(path)))
    }

    fn without(&self, live: &Value) -> Value {
        let mut target = live.clone();
        for path in &self.paths {
            reset(&mut target, &self.fresh, path);
        }
        target
    }
}

/// Lists as many fields as a line holds.
pub fn listed(fields: &[impl ToString]) -> String {
    let shown = fields.iter().take(SHOWN).map(ToString::to_string);
    let more = if fields.len() > SHOWN { ", …" } else { "" };
    let all = shown.collect::<Vec<_>>().join(", ") + more;
    visible::short(&all, visible::SAID).into_owned()
}

/// The decisive fields of `now` that admission changed, without those that somebody added to the object.
pub async fn admitted(
    scope: &Scope<'_>,
    object: &Value,
    live: Option<&Value>,
    now: &Value,
) -> Result<Vec<Path>> {
    let mut paths = changed(object, now);
    if !paths.is_empty()
        && let Some(live) = live
        && let Some(added) = find(scope, object, live, now).await?
    {
        paths.retain(|path| !added.paths.iter().any(|one| one.meets(path)));
    }
    Ok(paths)
}

/// Fields of `now` that a fresh apply would not have. `stored` is the object on the server, which differs from
/// `now` only in a dry run.
pub async fn find(
    scope: &Scope<'_>,
    object: &Value,
    stored: &Value,
    now: &Value,
) -> Result<Option<Additions>> {
    let wanted = comparable(&labelled(object, &scope.record.id));
    let (stored, shown) = (comparable(stored), comparable(now));
    if !defaults::is_compared(object) || extras(&wanted, &shown).is_empty() {
        return Ok(None);
    }
    let uid = &now["metadata"]["uid"];
    let patch = with_uid(merge_patch(&stored, &wanted), uid);
    let fresh = match write::ask_merge(scope, object, &patch).await? {
        Ok(fresh) => comparable(&fresh),
        // A webhook prevents the dry run, so what it would add is unknown. Fields that it adds again after
        // their removal are kept.
        Err(_) => trimmed(&wanted, &shown),
    };
    let mut paths = differing(&shown, &fresh);
    if !paths.is_empty()
        && let Some(new) = created(scope, object).await
    {
        // Fields that the server adds only to new objects are not additions either.
        let other = differing(&shown, &comparable(&new));
        paths.retain(|path| other.iter().any(|of_new| of_new.meets(path)));
    }
    // List fields with a manager first, before fields that the server derived from them.
    let meta = ownership::meta(now);
    let set = |path: &Path| {
        let mut all = ownership::managers(&meta).filter_map(|entry| entry.fields_v1.as_ref());
        all.any(|fields| path.is_in(&fields.0))
    };
    paths.sort_by_cached_key(|path| (!set(path), path.to_string()));
    Ok((!paths.is_empty()).then_some(Additions { paths, fresh }))
}

/// Resets these fields to the result of a fresh apply. Fields that come back at once are kept.
pub async fn take_out(
    scope: &Scope<'_>,
    object: &Value,
    stored: &Value,
    now: &Value,
    additions: &Additions,
) -> Result<Value> {
    let mut target = additions.without(now);
    let patch = merge_patch(&comparable(stored), &comparable(&target));
    let patch = with_uid(patch, &now["metadata"]["uid"]);
    if !scope.choices.dry_run {
        return merge(scope, object, &patch).await;
    }
    // Take the generation from the server's dry run.
    if let Ok(asked) = write::ask_merge(scope, object, &patch).await? {
        target["metadata"]["generation"] = asked["metadata"]["generation"].clone();
    }
    Ok(target)
}

/// A dry-run creation of the same object under an unused name.
async fn created(scope: &Scope<'_>, object: &Value) -> Option<Value> {
    if object["kind"] == "CustomResourceDefinition" {
        return None;
    }
    let mut new = labelled(object, &scope.record.id);
    let name = format!("{}-as-new", object["metadata"]["name"].as_str()?);
    new["metadata"]["name"] = json!(name);
    let api = kinds::api(&scope.cluster.client, object).ok()?;
    let new = serde_json::from_value::<DynamicObject>(new).ok()?;
    let params = PostParams {
        dry_run: true,
        field_manager: Some(FIELD_MANAGER.into()),
    };
    let id = kinds::id(object).ok()?;
    let new = send(scope, &id, || api.create(&params, &new)).await.ok()?;
    serde_json::to_value(new).ok()
}

/// The parts of an object that a manifest determines.
fn comparable(object: &Value) -> Value {
    let parts = object.as_object().into_iter().flatten();
    let kind = object["kind"].as_str().unwrap_or_default();
    let mut parts = parts
        .filter(|(name, _)| !["apiVersion", "kind", "metadata", "status"].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect::<Map<_, _>>();
    defaults::cut(kind, &mut parts);
    Value::Object(parts)
}

/// Removes fields that are neither wanted nor defaults.
fn trimmed(wanted: &Value, live: &Value) -> Value {
    let mut trimmed = live.clone();
    for path in extras(wanted, live) {
        reset(&mut trimmed, wanted, &path);
    }
    trimmed
}

fn with_uid(mut patch: Value, uid: &Value) -> Value {
    patch["metadata"] = json!({"uid": uid});
    patch
}
