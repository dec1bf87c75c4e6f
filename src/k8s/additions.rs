//! Fields that somebody added to an object of ours. An apply does not remove what others own, and no
//! comparison with the manifest shows it: so the whole of an object is compared with what a fresh
//! apply of the same manifest would give, which the API server itself tells in a dry run.

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
pub use path::Path;
use path::{differing, extras, merge_patch, reset};

/// As many fields as a line holds.
const SHOWN: usize = 3;

/// What a fresh apply would not give, and what it would give.
#[derive(Clone, Debug)]
pub struct Additions {
    pub paths: Vec<Path>,
    fresh: Value,
}

impl Additions {
    /// `.spec.a, .spec.b`, for a line.
    pub fn fields(&self) -> String {
        let shown = self.paths.iter().take(SHOWN).map(ToString::to_string);
        let more = if self.paths.len() > SHOWN {
            ", …"
        } else {
            ""
        };
        format!("{}{more}", shown.collect::<Vec<_>>().join(", "))
    }

    /// " by kubectl-edit at 2026-01-02T03:04:05Z": by whom, as far as the server's book tells.
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

    /// The first one that an object still has.
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

/// What `now` has that a fresh apply would not give. `stored` is what the server holds: the same, but
/// in a dry run.
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
        // A webhook that is not asked in dry runs: what it would add is not known, so nothing is
        // believed to be somebody's but what it does not add again when it is taken out.
        Err(_) => trimmed(&wanted, &shown),
    };
    let mut paths = differing(&shown, &fresh);
    if !paths.is_empty()
        && let Some(new) = created(scope, object).await
    {
        // What is added to new objects only is no somebody's either.
        let other = differing(&shown, &comparable(&new));
        paths.retain(|path| other.iter().any(|of_new| of_new.meets(path)));
    }
    // Those first that somebody set, before what the server made of them.
    let meta = ownership::meta(now);
    let set = |path: &Path| {
        let mut all = ownership::managers(&meta).filter_map(|entry| entry.fields_v1.as_ref());
        all.any(|fields| path.is_in(&fields.0))
    };
    paths.sort_by_cached_key(|path| (!set(path), path.to_string()));
    Ok((!paths.is_empty()).then_some(Additions { paths, fresh }))
}

/// Brings these fields to what a fresh apply gives. What comes back at once is left.
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
    // Whether it would be another generation is the server's to say.
    if let Ok(asked) = write::ask_merge(scope, object, &patch).await? {
        target["metadata"]["generation"] = asked["metadata"]["generation"].clone();
    }
    Ok(target)
}

/// The same object made today, under a name that nobody has.
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

/// The parts of an object that a manifest decides on.
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

/// Without what is neither wanted nor a default.
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
