//! Secrets from a store of the user, in place of those whose values `render` does not know.

use serde_json::{Value, json};

/// The same Secret, created by the External Secrets operator: each of these values has the same name in the entry of
/// the store that is named like the Secret.
pub fn external(secret: &Value, values: &[String], store: &str) -> Value {
    let meta = &secret["metadata"];
    let data = values.iter().map(
        |value| json!({"secretKey": value, "remoteRef": {"key": meta["name"], "property": value}}),
    );
    let mut template = json!({"type": secret["type"]});
    if meta["labels"].is_object() {
        template["metadata"] = json!({"labels": meta["labels"]});
    }
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "spec": {
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": store},
            "target": {"name": meta["name"], "template": template},
            "data": data.collect::<Vec<_>>(),
        },
    })
}
