//! Whose an object is. Ours carries the labels of this install and was applied by our field manager:
//! labels alone may be copied, and a name alone says nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, Time};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::FIELD_MANAGER;

/// Carried by everything that any install created.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "ambikiali");
/// Carried by everything that one install created; its value names the install.
pub const INSTALL: &str = "ambikiali.dev/install";

/// The same for every run of an install, and found again when all records are lost: made of what
/// never changes, the home cluster and the namespace of Kiali.
pub fn install_id(home_uid: &str, namespace: &str) -> String {
    digest(&format!("{home_uid}/{namespace}"))
}

/// Enough of a SHA-256 to tell one from another.
pub fn digest(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn labelled(object: &Value, install: &str) -> Value {
    let mut object = object.clone();
    object["metadata"]["labels"][MANAGED_BY.0] = json!(MANAGED_BY.1);
    object["metadata"]["labels"][INSTALL] = json!(install);
    object
}

/// The metadata of an object that is there.
pub fn meta(live: &Value) -> ObjectMeta {
    serde_json::from_value(live["metadata"].clone()).unwrap_or_default()
}

pub fn is_ours(meta: &ObjectMeta, install: &str) -> bool {
    is_labelled(meta, install) && our_entry(meta).is_some()
}

/// As anybody may label an object.
pub fn is_labelled(meta: &ObjectMeta, install: &str) -> bool {
    let label = |name: &str| meta.labels.as_ref().and_then(|labels| labels.get(name));
    label(MANAGED_BY.0).is_some_and(|value| value == MANAGED_BY.1)
        && label(INSTALL).is_some_and(|value| value == install)
}

/// Whether admission took labels of this install off, or changed them, as we applied them: managedFields still say that
/// we applied them. Somebody who removes or changes a label takes it over there.
pub fn lacks_labels(meta: &ObjectMeta, install: &str) -> bool {
    let labels = meta.labels.as_ref();
    let is_of_other = labels
        .and_then(|labels| labels.get(INSTALL))
        .is_some_and(|value| value != install);
    let fields = our_entry(meta).and_then(|entry| entry.fields_v1.as_ref());
    let applied = fields.and_then(|fields| fields.0.get("f:metadata")?.get("f:labels"));
    let has = |name: &str| applied.is_some_and(|labels| labels.get(format!("f:{name}")).is_some());
    !is_of_other && !is_labelled(meta, install) && has(INSTALL) && has(MANAGED_BY.0)
}

/// Why it may be somebody else's all the same. Who may change an object of others can apply our labels to
/// it in the name of our field manager; but whoever made it stays in the server's book of its fields.
pub fn doubt(kind: &str, meta: &ObjectMeta) -> Option<String> {
    let others = managers(meta).filter(|e| e.manager.as_deref() != Some(FIELD_MANAGER));
    let mut others = others.filter_map(|e| Some((e.manager.as_deref()?, &e.fields_v1.as_ref()?.0)));
    if let Some((manager, _)) = others.find(|(by, fields)| holds(kind, by, fields, "")) {
        return Some(format!("{manager} set fields of it"));
    }
    let Some(ours) = our_entry(meta) else {
        return Some("ambikiali did not apply it".into());
    };
    // These hold nothing that the book could name, so that only their age tells.
    let is_empty = ["Namespace", "ServiceAccount"].contains(&kind);
    let (made, applied) = (meta.creation_timestamp.as_ref()?, ours.time.as_ref()?);
    let is_older = applied.0.as_second() - made.0.as_second() > CREATION;
    (is_empty && is_older).then(|| "it is older than what ambikiali applied to it".into())
}

/// Seconds that a server may take between the two times of one request.
const CREATION: i64 = 2;

/// Whether there is content among the fields, and not only what controllers and people add to an object
/// of ours without making it theirs.
fn holds(kind: &str, manager: &str, fields: &Value, path: &str) -> bool {
    let is_added = match path {
        "/f:metadata" | "/f:status" | "/f:spec/f:template/f:metadata/f:annotations" => true,
        // A token.
        "/f:data" => (kind, manager) == ("Secret", "kube-controller-manager"),
        "/f:secrets" | "/f:imagePullSecrets" => kind == "ServiceAccount",
        // The controller binds a claim to a volume, and gives it the class that became the default later.
        "/f:spec/f:volumeName" | "/f:spec/f:storageClassName" => kind == "PersistentVolumeClaim",
        _ => false,
    };
    match fields.as_object() {
        _ if is_added => false,
        Some(inner) if !inner.is_empty() => inner
            .iter()
            .any(|(key, inner)| holds(kind, manager, inner, &format!("{path}/{key}"))),
        _ => !path.is_empty(),
    }
}

/// Which fields we own, as one value: another one when somebody has taken a field from us.
pub fn owned_fields(meta: &ObjectMeta) -> Option<String> {
    let fields = our_entry(meta)?.fields_v1.as_ref()?;
    Some(digest(&fields.0.to_string()))
}

/// As the server writes them down.
pub fn applied_fields(live: &Value) -> Option<Value> {
    let fields = our_entry(&meta(live))?.fields_v1.clone()?;
    Some(fields.0)
}

fn our_entry(meta: &ObjectMeta) -> Option<&ManagedFieldsEntry> {
    managers(meta).find(|entry| {
        entry.manager.as_deref() == Some(FIELD_MANAGER)
            && entry.operation.as_deref() == Some("Apply")
    })
}

/// When we last wrote an object, by the server's clock.
pub fn written_at(live: &Value) -> Option<Time> {
    let entries = live["metadata"]["managedFields"].as_array()?;
    let ours = entries.iter().filter(|e| e["manager"] == FIELD_MANAGER);
    ours.filter_map(|e| serde_json::from_value::<Time>(e["time"].clone()).ok())
        .max()
}

/// Who set which fields. Who writes its status did not make an object.
pub fn managers(meta: &ObjectMeta) -> impl Iterator<Item = &ManagedFieldsEntry> {
    let entries = meta.managed_fields.iter().flatten();
    entries.filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(labels: Value, manager: &str, operation: &str) -> ObjectMeta {
        meta(&json!({"metadata": {"labels": labels, "managedFields": [
            {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": {}},
        ]}}))
    }

    #[test]
    fn an_install_is_named_by_its_home_and_namespace() {
        assert_eq!(install_id("a", "kiali"), install_id("a", "kiali"));
        assert_ne!(install_id("a", "kiali"), install_id("b", "kiali"));
        assert_ne!(install_id("a", "kiali"), install_id("a", "other"));
        assert_eq!(install_id("a", "kiali").len(), 16);
    }

    #[test]
    fn whoever_else_made_an_object_is_seen_and_controllers_are_not_taken_for_one() {
        let book = |kind: &str, others: Value| {
            let mut entries = vec![json!({
                "manager": "ambikiali", "operation": "Apply", "time": "2026-01-01T00:00:01Z",
                "fieldsV1": {"f:metadata": {"f:labels": {"f:a": {}}}, "f:spec": {"f:replicas": {}}},
            })];
            entries.extend(others.as_array().cloned().unwrap_or_default());
            let created = "2026-01-01T00:00:00Z";
            let metadata = json!({"creationTimestamp": created, "managedFields": entries});
            doubt(kind, &meta(&json!({"metadata": metadata})))
        };
        let by = |manager: &str, fields: Value| json!([{"manager": manager, "operation": "Update", "fieldsV1": fields}]);
        let annotations = json!({"f:annotations": {".": {}, "f:restartedAt": {}}});
        for (kind, others) in [
            ("Deployment", json!([])),
            (
                "Deployment",
                by("ambikiali", json!({"f:spec": {"f:paused": {}}})),
            ),
            (
                "Deployment",
                by(
                    "kubectl-label",
                    json!({"f:metadata": {"f:labels": {"f:b": {}}}}),
                ),
            ),
            (
                "Deployment",
                by(
                    "kubectl-rollout",
                    json!({"f:spec": {"f:template": {"f:metadata": annotations}}}),
                ),
            ),
            ("Kiali", by("operator", json!({"f:status": {"f:x": {}}}))),
            (
                "Secret",
                by(
                    "kube-controller-manager",
                    json!({"f:data": {".": {}, "f:token": {}}}),
                ),
            ),
            (
                "ServiceAccount",
                by("openshift", json!({"f:secrets": {"k:{}": {}}})),
            ),
            (
                "PersistentVolumeClaim",
                by("k3s", json!({"f:spec": {"f:volumeName": {}}})),
            ),
        ] {
            assert_eq!(book(kind, others.clone()), None, "{kind} {others}");
        }
        for (kind, others) in [
            (
                "Deployment",
                by(
                    "kubectl-create",
                    json!({"f:spec": {"f:template": {"f:spec": {}}}}),
                ),
            ),
            (
                "ConfigMap",
                by("kube-controller-manager", json!({"f:data": {"f:a": {}}})),
            ),
            ("Secret", by("kubectl", json!({"f:data": {"f:a": {}}}))),
            ("ClusterRole", by("helm", json!({"f:rules": {}}))),
            (
                "PersistentVolumeClaim",
                by(
                    "kubectl",
                    json!({"f:spec": {"f:accessModes": {}, "f:volumeName": {}}}),
                ),
            ),
        ] {
            assert!(book(kind, others.clone()).is_some(), "{kind} {others}");
        }
    }

    #[test]
    fn labels_that_admission_took_off_are_still_in_managed_fields() {
        let ours = |labels: Value, fields: Value| {
            let mut meta = applied(labels, "ambikiali", "Apply");
            let entry = meta.managed_fields.iter_mut().flatten().next();
            let entry = entry.and_then(|entry| entry.fields_v1.as_mut());
            entry.expect("fields").0 = fields;
            meta
        };
        let book = |names: &[&str]| {
            let labels = names.iter().map(|name| (format!("f:{name}"), json!({})));
            json!({"f:metadata": {"f:labels": labels.collect::<serde_json::Map<_, _>>()}})
        };
        let both = || book(&[INSTALL, MANAGED_BY.0]);
        let whole = labelled(&json!({}), "1")["metadata"]["labels"].clone();
        let lacks = |labels: Value| lacks_labels(&ours(labels, both()), "1");
        assert!(lacks(json!(null)) && lacks(json!({"app": "a"})));
        assert!(lacks(json!({INSTALL: "1", MANAGED_BY.0: "theirs"})));
        for (meta, why) in [
            (ours(whole, both()), "it has both"),
            (ours(json!({INSTALL: "2"}), both()), "of another install"),
            (
                ours(json!({}), book(&[MANAGED_BY.0])),
                "somebody removed it",
            ),
            (ours(json!({}), book(&[INSTALL])), "somebody changed it"),
            (applied(json!({}), "kubectl", "Apply"), "of another tool"),
        ] {
            assert!(!lacks_labels(&meta, "1"), "{why}");
        }
    }

    #[test]
    fn labels_and_the_field_manager_make_an_object_ours() {
        let labels = labelled(&json!({}), "1")["metadata"]["labels"].clone();
        assert!(is_ours(&applied(labels.clone(), "ambikiali", "Apply"), "1"));
        for (meta, why) in [
            (applied(json!({}), "ambikiali", "Apply"), "no labels"),
            (
                applied(labels.clone(), "kubectl", "Apply"),
                "made again by another tool",
            ),
            (applied(labels, "ambikiali", "Update"), "only touched by us"),
        ] {
            assert!(!is_ours(&meta, "1"), "{why}");
        }
        let other = labelled(&json!({}), "2")["metadata"]["labels"].clone();
        assert!(
            !is_ours(&applied(other, "ambikiali", "Apply"), "1"),
            "of another install"
        );
    }
}
