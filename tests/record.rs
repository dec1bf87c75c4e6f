//! Ownership: the record of created and adopted objects, changes by others, and the Lease that prevents concurrent
//! installs.

mod conflict;
mod drift;
mod healed;
mod lease;
mod lost;
mod name_taken;

use ambikiali_sandbox::Cluster;
use serde_json::Value;

use crate::support::get;

const RECORD: (&str, &str, &str) = ("v1", "ConfigMap", "kiali/ambikiali-record");

/// Returns the record of a cluster, or None if it has none.
async fn recorded(cluster: &Cluster) -> Option<Value> {
    let map = get(cluster, RECORD.0, RECORD.1, RECORD.2).await?;
    let text = map["data"]["record.json"].as_str().expect("a record");
    Some(serde_json::from_str(text).expect("JSON"))
}

/// Returns the entries of a record, sorted, as in `created ConfigMap kiali/prometheus-config`.
fn named(record: &Value) -> Vec<String> {
    let objects = record["objects"].as_array().expect("objects");
    let mut names = objects
        .iter()
        .map(|object| {
            let text = |field: &str| object[field].as_str().unwrap_or_default().to_string();
            assert!(object["uid"].is_string(), "{object}");
            let namespace = text("namespace");
            let slash = if namespace.is_empty() { "" } else { "/" };
            let (origin, kind, name) = (text("origin"), text("kind"), text("name"));
            format!("{origin} {kind} {namespace}{slash}{name}")
        })
        .collect::<Vec<_>>();
    names.sort();
    names
}
