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
