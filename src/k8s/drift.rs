//! Changes of others to the objects in the record since they were applied. The record has the fields that we owned
//! then, and managedFields has the owners now.

use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::Value;

use super::difference::difference;
use super::record::{Entry, Key, Origin};
use super::request::send_opt;
use super::{FIELD_MANAGER, Scope, additions, kinds, ownership, write};

/// How many fields a message lists.
const FIELDS: usize = 3;

/// The objects that differ from what was applied, and how. The record must be open. `manifests` are those of an
/// install with the same options.
pub async fn all(scope: &Scope<'_>, manifests: &[&Value]) -> Vec<(Key, String)> {
    let entries = scope.record.entries().into_iter();
    let looked = entries.map(async |entry| {
        let mut manifests = manifests.iter();
        let manifest = manifests.find(|object| Key::of(object) == entry.key);
        Some((
            entry.key.clone(),
            of(scope, &entry, manifest.copied()).await?,
        ))
    });
    join_all(looked).await.into_iter().flatten().collect()
}

/// Objects that cannot be read are reported by their component.
async fn of(scope: &Scope<'_>, entry: &Entry, manifest: Option<&Value>) -> Option<String> {
    if entry.key.is_data() && manifest.is_none() {
        // A claim that no option asks for is only kept.
        return None;
    }
    // Compare only if this manifest was applied.
    let applied = manifest.is_some_and(|manifest| scope.record.was_written(manifest));
    let is_secret = entry.key.kind == "Secret";
    let manifest = manifest.filter(|_| applied || is_secret);
    let (id, object) = (entry.key.id(), entry.key.object());
    let Some(manifest) = manifest.filter(|_| entry.origin == Origin::Created) else {
        let api = kinds::api(&scope.cluster.client, &object).ok()?;
        let live = send_opt(scope, &id, || api.get_metadata(&id.name)).await;
        return judge(entry, live.ok()?.map(|live| live.metadata).as_ref());
    };
    let live = write::read(scope, &object, &id).await.ok()?;
    let judged = judge(entry, live.as_ref().map(ownership::meta).as_ref());
    match (judged, live) {
        // The manifest is derived from the live object and differs from the applied one.
        (None, Some(_)) if !applied && entry.applied.is_some() => {
            Some("does not hold what was applied".into())
        }
        (None, Some(live)) => contents(scope, manifest, &live).await,
        (judged, _) => judged,
    }
}

/// Finds changes under our field manager and added fields, which managedFields do not reveal.
async fn contents(scope: &Scope<'_>, manifest: &Value, live: &Value) -> Option<String> {
    let found = additions::find(scope, manifest, live, live).await;
    if let Some(added) = found.ok().flatten() {
        let (by, fields) = (added.by(live), added.fields());
        return Some(format!("added{by}: {fields}"));
    }
    let changed = additions::changed(manifest, live);
    if !changed.is_empty() {
        return Some(format!("changed at {}", additions::listed(&changed)));
    }
    let field = difference(manifest, live)?;
    Some(format!("changed at {field}"))
}

fn judge(entry: &Entry, live: Option<&ObjectMeta>) -> Option<String> {
    let Some(live) = live else {
        return Some("gone".into());
    };
    // Just created by a run that has not ended yet.
    let uid = entry.uid.as_ref()?;
    if live.uid.as_ref() != Some(uid) {
        return Some("made again by somebody, and no longer ours".into());
    }
    let changed = entry.origin == Origin::Created && entry.fields.is_some();
    if !changed || entry.fields == ownership::owned_fields(live) {
        return None;
    }
    let others = ownership::managers(live).filter(|e| e.manager.as_deref() != Some(FIELD_MANAGER));
    let last = others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0));
    Some(last.map_or("fields that were applied are missing".into(), said))
}

fn said(entry: &ManagedFieldsEntry) -> String {
    let by = entry.manager.as_deref().unwrap_or("somebody");
    let at = entry
        .time
        .as_ref()
        .map_or(String::new(), |time| format!(" at {}", time.0));
    let mut paths = Vec::new();
    if let Some(fields) = &entry.fields_v1 {
        leaves(&fields.0, String::new(), &mut paths);
    }
    let more = if paths.len() > FIELDS { ", …" } else { "" };
    paths.truncate(FIELDS);
    format!("changed by {by}{at}: {}{more}", paths.join(", "))
}

/// `{"f:data": {"f:a": {}}}` is `.data.a`.
fn leaves(fields: &Value, path: String, paths: &mut Vec<String>) {
    let inner = fields.as_object().into_iter().flatten();
    let inner = inner.filter(|(key, _)| *key != ".").collect::<Vec<_>>();
    if inner.is_empty() && !path.is_empty() {
        paths.push(path.clone());
    }
    for (key, value) in inner {
        let step = match key.split_once(':') {
            Some(("f", name)) => format!(".{name}"),
            Some((_, item)) => format!("[{item}]"),
            None => continue,
        };
        leaves(value, format!("{path}{step}"), paths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(uid: &str, live: &ObjectMeta) -> Entry {
        Entry {
            key: Key::of(&json!({"kind": "ConfigMap", "metadata": {"name": "a"}})),
            origin: Origin::Created,
            uid: Some(uid.into()),
            applied: None,
            next: None,
            fields: ownership::owned_fields(live),
            forced: Vec::new(),
        }
    }

    fn meta(managed: Value) -> ObjectMeta {
        ownership::meta(&json!({"metadata": {"uid": "1", "managedFields": managed}}))
    }

    fn applied(fields: Value) -> Value {
        json!({"manager": "ambikiali", "operation": "Apply", "fieldsV1": fields})
    }

    #[test]
    fn an_object_is_gone_another_one_or_changed_by_somebody() {
        let before = meta(json!([applied(json!({"f:data": {"f:a": {}, "f:b": {}}}))]));
        assert_eq!(judge(&entry("1", &before), Some(&before)), None);
        assert_eq!(judge(&entry("1", &before), None).unwrap(), "gone");
        let again = judge(&entry("2", &before), Some(&before)).unwrap();
        assert_eq!(again, "made again by somebody, and no longer ours");

        let edit = json!({
            "manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T03:04:05Z",
            "fieldsV1": {"f:data": {"f:a": {}}},
        });
        let after = meta(json!([applied(json!({"f:data": {"f:b": {}}})), edit]));
        let edited = judge(&entry("1", &before), Some(&after)).unwrap();
        assert_eq!(
            edited,
            "changed by kubectl-edit at 2026-01-02T03:04:05Z: .data.a"
        );

        let after = meta(json!([applied(json!({"f:data": {"f:b": {}}}))]));
        let cut = judge(&entry("1", &before), Some(&after)).unwrap();
        assert_eq!(cut, "fields that were applied are missing");
    }
}
