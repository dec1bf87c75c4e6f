//! Forges records as anyone who can write ConfigMaps can: the digest is valid, because it needs no key.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{get, merge};

const RECORD: &str = "kiali/ambikiali-record";

/// Changes the record of a cluster.
pub async fn rewritten(cluster: &Cluster, change: impl FnOnce(&mut Value)) {
    let record = get(cluster, "v1", "ConfigMap", RECORD).await;
    let record = record.expect("a record");
    let text = record["data"]["record.json"].as_str().expect("a record");
    let mut content: Value = serde_json::from_str(text).expect("JSON");
    change(&mut content);
    let text = content.to_string();
    let change = json!({
        "metadata": {"annotations": {"ambikiali.dev/digest": digest(&text)}},
        "data": {"record.json": text},
    });
    merge(cluster, "v1", "ConfigMap", RECORD, &change).await;
}

fn digest(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the labels of an install with this home, before or after it was made. A copy of the labels does not make an
/// object ours.
pub async fn install_labels(home: &Cluster) -> Value {
    let system = get(home, "v1", "Namespace", "kube-system").await;
    let uid = system.expect("kube-system")["metadata"]["uid"].clone();
    let id = digest(&format!("{}/kiali", uid.as_str().expect("a uid")));
    json!({"app.kubernetes.io/managed-by": "ambikiali", "ambikiali.dev/install": id})
}

/// Returns a record entry for a live object.
pub fn entry(origin: &str, live: &Value) -> Value {
    let metadata = &live["metadata"];
    let mut entry = json!({
        "apiVersion": live["apiVersion"], "kind": live["kind"], "name": metadata["name"],
        "origin": origin, "uid": metadata["uid"],
    });
    if metadata["namespace"].is_string() {
        entry["namespace"] = metadata["namespace"].clone();
    }
    entry
}

/// Adds these entries to the record.
pub async fn forged(cluster: &Cluster, entries: Vec<Value>) {
    rewritten(cluster, |content| {
        let objects = content["objects"].as_array_mut().expect("objects");
        objects.extend(entries);
    })
    .await;
}
