//! Finds the objects that would be lost with a namespace: those of others, and our claims, which hold data.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::k8s::ownership;
use crate::k8s::record::{self, Key};
use crate::k8s::{Scope, lease};

type Object = (Key, ObjectMeta);

/// Objects that the control plane or the mesh creates in every namespace.
const SYSTEM_OBJECTS: [(&str, &str); 4] = [
    ("ServiceAccount", "default"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
    ("ConfigMap", "istio-ca-crl"),
];
/// The Lease of the operator's leader election.
const LEADER_LEASE: &str = "kiali-operator";

/// Objects that are not ours, not created by the system, and not deleted together with ours; and claims of ours that are
/// kept.
pub fn foreign_objects<'a>(scope: &Scope<'_>, found: &'a [Object]) -> Vec<&'a Object> {
    let record = scope.record;
    let is_ours = |(key, meta): &Object| {
        record.inventory.has(key) && record.owns(key, meta) || is_bookkeeping(key, meta, &record.id)
    };
    // While the CR exists, the operator will delete what it created for it.
    let with_cr = found
        .iter()
        .any(|object| object.0.kind == "Kiali" && is_ours(object));
    let service = |name: &str| {
        let known = record
            .inventory
            .made
            .iter()
            .chain(&record.inventory.by_operator)
            .chain(&record.inventory.probes);
        known
            .into_iter()
            .any(|key| key.kind == "Service" && key.name == name)
    };
    let is_deleted = |object: &Object| {
        let (key, meta) = object;
        let keeps = key.is_data() && !scope.choices.delete_data;
        meta.deletion_timestamp.is_some()
            || SYSTEM_OBJECTS.contains(&(key.kind.as_str(), key.name.as_str()))
            || (key.kind == "Endpoints" && service(&key.name))
            || (key.kind == "Lease" && key.name == LEADER_LEASE)
            || (with_cr && record.inventory.is_operators(key))
            || (is_ours(object) && !keeps)
    };
    not_deleted(found, is_deleted, |uid| record.is_gone(uid))
}

/// Whether the garbage collector may still delete one of these: it has owners, and none of them is seen any more. Such an
/// object must not be told as one that stays.
pub fn may_go(stays: &[&Object]) -> bool {
    let is_seen = |uid: &str| {
        stays
            .iter()
            .any(|(_, meta)| meta.uid.as_deref() == Some(uid))
    };
    stays
        .iter()
        .any(|(_, meta)| has_only_owners(meta, |uid| !is_seen(uid)))
}

/// Whether an object has owners, and all of them are such.
fn has_only_owners(meta: &ObjectMeta, is_such: impl Fn(&str) -> bool) -> bool {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    !owners.is_empty() && owners.iter().all(|owner| is_such(&owner.uid))
}

/// Whether the object is our record or our Lease, which the record itself does not list.
pub fn is_bookkeeping(key: &Key, meta: &ObjectMeta, install: &str) -> bool {
    let named = [("ConfigMap", record::NAME), ("Lease", lease::NAME)];
    ownership::is_labelled(meta, install) && named.contains(&(key.kind.as_str(), key.name.as_str()))
}

/// An object is deleted with its owners only if all of them are deleted. An unknown owner keeps it.
fn not_deleted(
    found: &[Object],
    is_deleted: impl Fn(&Object) -> bool,
    is_gone: impl Fn(&str) -> bool,
) -> Vec<&Object> {
    let uid = |object: &Object| object.1.uid.clone().unwrap_or_default();
    let (going, mut stays): (Vec<_>, Vec<_>) = found.iter().partition(|object| is_deleted(object));
    let mut going = going.into_iter().map(uid).collect::<BTreeSet<_>>();
    loop {
        let with_owners = |object: &&Object| {
            has_only_owners(&object.1, |uid| going.contains(uid) || is_gone(uid))
        };
        let (go, stay): (Vec<_>, Vec<_>) = stays.into_iter().partition(with_owners);
        stays = stay;
        if go.is_empty() {
            return stays;
        }
        going.extend(go.into_iter().map(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, uid: &str, owners: &[&str]) -> Object {
        let owners = owners
            .iter()
            .map(|uid| json!({"apiVersion": "v1", "kind": "Any", "name": "any", "uid": uid}));
        let metadata = json!({
            "name": uid, "namespace": "kiali", "uid": uid,
            "ownerReferences": owners.collect::<Vec<_>>(),
        });
        let live = json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
        (Key::of(&live), ownership::meta(&live))
    }

    #[test]
    fn an_owned_object_is_deleted_only_with_all_its_owners() {
        let found = [
            object("Deployment", "ours", &[]),
            object("Pod", "pod", &["set"]),
            object("ReplicaSet", "set", &["ours"]),
            object("ReplicaSet", "of-gone", &["gone"]),
            object("ConfigMap", "of-node", &["node"]),
            object("ConfigMap", "of-both", &["ours", "node"]),
            object("ConfigMap", "of-itself", &["of-itself"]),
            object("Secret", "free", &[]),
        ];
        let stays = not_deleted(&found, |o| o.0.name == "ours", |uid| uid == "gone");
        let names = stays.iter().map(|o| o.0.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["of-node", "of-both", "of-itself", "free"]);
    }

    #[test]
    fn an_object_may_still_go_if_none_of_its_owners_is_seen() {
        let free = object("ConfigMap", "free", &[]);
        let late = object("CiliumEndpoint", "late", &["pod-that-is-gone"]);
        let (set, pod) = (
            object("ReplicaSet", "set", &["deployment"]),
            object("Pod", "pod", &["set"]),
        );
        let deployment = object("Deployment", "deployment", &[]);
        assert!(!may_go(&[]));
        assert!(!may_go(&[&free]));
        assert!(may_go(&[&free, &late]));
        assert!(!may_go(&[&deployment, &set, &pod, &free]));
        assert!(may_go(&[&set, &pod]));
    }
}
