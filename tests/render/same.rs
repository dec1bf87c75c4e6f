//! Compares objects applied from files with those of an install: the same objects, fields and values.

use std::collections::{BTreeMap, BTreeSet};

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use super::name;
use crate::support::Foreign;

/// Labels that only an install sets.
const OURS: [&str; 2] = ["f:app.kubernetes.io/managed-by", "f:ambikiali.dev/install"];

/// The Secrets that only an install fills.
const FILLED: [&str; 3] = [
    "kiali-multi-cluster-secret",
    "prometheus-gateway-tls",
    "prometheus-tls",
];

pub async fn same(cluster: &Cluster, installed: &BTreeMap<String, Value>, rendered: &Foreign<'_>) {
    let now = rendered
        .all()
        .await
        .into_iter()
        .map(|live| live.expect("an object"));
    let now = now
        .map(|live| (name(&live), live))
        .collect::<BTreeMap<_, _>>();
    let names = |all: &BTreeMap<String, Value>| all.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&now), names(installed), "{}", cluster.name());
    for (name, before) in installed {
        let now = &now[name];
        let (ours, theirs) = (fields(before, "ambikiali"), fields(now, "kubectl"));
        assert_eq!(theirs, ours, "{name} has other fields");
        let of =
            |live: &Value, fields: &Value| (*fields != json!({})).then(|| values(live, fields));
        let (ours, theirs) = (of(before, &ours), of(now, &theirs));
        assert_eq!(theirs, ours, "{name} has other values");
    }
}

/// Returns the fields that a manager applied, without those that only an install or only a placeholder has.
fn fields(live: &Value, manager: &str) -> Value {
    let entries = live["metadata"]["managedFields"].as_array();
    let applied = |e: &&Value| e["manager"] == manager && e["operation"] == "Apply";
    let applied = entries.into_iter().flatten().find(applied);
    // A manager that applied nothing but a name has no entry.
    let mut fields = applied.map_or(json!({}), |entry| entry["fieldsV1"].clone());
    let labels = fields.pointer_mut("/f:metadata/f:labels");
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.retain(|label, _| !OURS.contains(&label.as_str()));
        if labels.is_empty() {
            fields["f:metadata"]
                .as_object_mut()
                .expect("fields")
                .remove("f:labels");
        }
    }
    let name = live["metadata"]["name"].as_str().unwrap_or_default();
    if FILLED.contains(&name) {
        let all = fields.as_object_mut().expect("fields");
        all.remove("f:data");
        all["f:metadata"]
            .as_object_mut()
            .expect("fields")
            .remove("f:annotations");
    }
    let all = fields.as_object_mut().expect("fields");
    all.retain(|field, inner| {
        field != "f:metadata" || inner.as_object().is_some_and(|m| !m.is_empty())
    });
    fields
}

/// Returns the values of these fields, with lists as a whole.
fn values(live: &Value, fields: &Value) -> Value {
    let named = fields.as_object().into_iter().flatten();
    let named = named.filter_map(|(key, inner)| Some((key.strip_prefix("f:")?, inner)));
    let values = named.map(|(key, inner)| (key.to_string(), values(&live[key], inner)));
    let values = values.collect::<serde_json::Map<_, _>>();
    match values.is_empty() {
        true => live.clone(),
        false => Value::Object(values),
    }
}
