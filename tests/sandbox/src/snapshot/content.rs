//! The parts of an object that a snapshot compares.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::api::{ApiResource, DynamicObject};
use serde_json::{Value, json};

use super::{Key, Object, key};

/// Kinds that a controller may replace at any time. A snapshot only compares whether their owner has any.
const REPLACEABLE: [&str; 3] = ["Pod", "ReplicaSet", "ControllerRevision"];

/// Returns the Deployment of each ReplicaSet, by the ReplicaSet's UID.
pub fn deployments(all: &[(ApiResource, DynamicObject)]) -> HashMap<String, OwnerReference> {
    let sets = all.iter().filter(|(kind, _)| kind.kind == "ReplicaSet");
    sets.filter_map(|(_, set)| Some((set.uid()?, controller(set)?.clone())))
        .collect()
}

pub fn reduce(
    kind: &ApiResource,
    object: DynamicObject,
    deployments: &HashMap<String, OwnerReference>,
) -> (Key, Object) {
    let owner = controller(&object).filter(|_| REPLACEABLE.contains(&kind.kind.as_str()));
    if let Some(owner) = owner {
        let top = deployments.get(&owner.uid).unwrap_or(owner);
        let name = format!("of {} {}", top.kind, top.name);
        let any = Object {
            uid: None,
            content: Value::Null,
        };
        return (key(kind, &object, name), any);
    }
    let key = key(kind, &object, object.name_any());
    // istiod recreates missing GatewayClasses.
    let uid = object.uid().filter(|_| kind.kind != "GatewayClass");
    let content = strip(object);
    (key, Object { uid, content })
}

fn controller(object: &DynamicObject) -> Option<&OwnerReference> {
    let owners = object.metadata.owner_references.as_ref()?;
    owners.iter().find(|owner| owner.controller == Some(true))
}

/// Removes the fields that servers maintain.
fn strip(object: DynamicObject) -> Value {
    let mut metadata = json!(object.metadata);
    if let Some(fields) = metadata.as_object_mut() {
        for field in [
            "managedFields",
            "resourceVersion",
            "generation",
            "uid",
            "creationTimestamp",
        ] {
            fields.remove(field);
        }
    }
    if let Some(annotations) = metadata["annotations"].as_object_mut() {
        annotations.remove("deployment.kubernetes.io/revision");
        annotations.remove("deprecated.daemonset.template.generation");
        // istiod's leader election renews it all the time.
        annotations.remove("control-plane.alpha.kubernetes.io/leader");
    }
    let mut content = object.data;
    if let Some(fields) = content.as_object_mut() {
        fields.remove("status");
        fields.insert("metadata".into(), metadata);
    }
    content
}

/// Returns the paths at which the two differ, as deep as their shapes are the same.
pub fn differences(a: &Value, b: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    walk(a, b, String::new(), &mut paths);
    paths
}

fn walk(a: &Value, b: &Value, path: String, paths: &mut Vec<String>) {
    match (a, b) {
        _ if a == b => {}
        (Value::Object(x), Value::Object(y)) => {
            let added = y.keys().filter(|name| !x.contains_key(*name));
            for name in x.keys().chain(added) {
                let dot = if path.is_empty() { "" } else { "." };
                let deeper = format!("{path}{dot}{name}");
                let absent = &Value::Null;
                let (x, y) = (x.get(name), y.get(name));
                walk(x.unwrap_or(absent), y.unwrap_or(absent), deeper, paths);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (index, (x, y)) in x.iter().zip(y).enumerate() {
                walk(x, y, format!("{path}[{index}]"), paths);
            }
        }
        _ => paths.push(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named_by_their_path_without_values() {
        let a = json!({"spec": {"replicas": 1, "ports": [{"port": 1}], "gone": true}});
        let b = json!({"spec": {"replicas": 2, "ports": [{"port": 2}]}, "data": {"new": "x"}});
        let paths = ["spec.replicas", "spec.ports[0].port", "spec.gone", "data"];
        assert_eq!(differences(&a, &b), paths);
        assert!(differences(&a, &a).is_empty());
    }
}
