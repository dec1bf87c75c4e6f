//! The kubeconfig of the cluster. kwokctl names everything `kwok-NAME`. Here the context, the cluster and the user are
//! called NAME, because the mesh knows the cluster by that name too.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::Kubeconfig;
use serde_json::json;

/// Writes `<dir>/kubeconfig`. The certificates are embedded, so it can be copied anywhere.
pub fn write(dir: &Path, pki: &Path, name: &str, server: &str) -> Result<Kubeconfig> {
    let data = |file: &str| -> Result<String> {
        let path = pki.join(file);
        let pem = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(STANDARD.encode(pem))
    };
    let cluster = json!({"server": server, "certificate-authority-data": data("ca.crt")?});
    let certificate = data("admin.crt")?;
    let user =
        json!({"client-certificate-data": certificate, "client-key-data": data("admin.key")?});
    let text = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    });
    let text = serde_json::to_string_pretty(&text)?;
    fs::write(dir.join("kubeconfig"), &text)?;
    Ok(Kubeconfig::from_yaml(&text)?)
}
