//! The remote secret with kubeconfigs from a secret store of the user.

use serde_json::{Value, json};

use super::{LABEL, NAME};
use crate::mesh::ClusterName;

/// The same Secret, created by the External Secrets operator from entries with the same names in a store of the user.
pub fn external(namespace: &str, remotes: &[ClusterName], store: &str) -> Value {
    let data = remotes
        .iter()
        .map(|remote| json!({"secretKey": remote, "remoteRef": {"key": NAME, "property": remote}}));
    let template = json!({"type": "Opaque", "metadata": {"labels": {LABEL: "true"}}});
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": store},
            "target": {"name": NAME, "template": template},
            "data": data.collect::<Vec<_>>(),
        },
    })
}
