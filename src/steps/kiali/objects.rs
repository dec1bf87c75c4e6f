//! The objects of this step, from the settings.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::CLIENT_SECRET;
use crate::k8s::record;
use crate::login::Login;
use crate::manifests;
use crate::mesh::ClusterName;
use crate::settings::Settings;
use crate::store::Store;

/// The Kiali CR first. The Secret is there only if the user gives a client secret: otherwise it stays as it is.
pub fn objects(
    namespace: &str,
    home: &ClusterName,
    prometheus: &str,
    settings: &Settings,
) -> Result<Vec<Value>> {
    let values = json!({
        "namespace": namespace,
        "prometheus": metrics(prometheus, settings),
        "home": home.as_str(),
        "images": settings.images.values(),
        "view_only": !settings.allow_write,
        "network_policies": settings.network_policies,
        "login": settings.login.as_ref().map(values_of),
        "ca": ca(settings),
    });
    let mut objects = manifests::render(manifests::KIALI, values)?;
    let secret = settings.login.as_ref().and_then(|l| l.secret.as_ref());
    objects.extend(secret.map(|secret| client_secret(namespace, secret)));
    Ok(objects)
}

/// What Kiali queries: the user's store, or the federating Prometheus.
fn metrics(prometheus: &str, settings: &Settings) -> Value {
    match &settings.store {
        Some(store) => store.for_kiali(settings.metrics),
        None => json!({"url": prometheus}),
    }
}

/// The PEM of what Kiali trusts besides the CAs of its image.
fn ca(settings: &Settings) -> Option<String> {
    let of_store = settings.store.as_ref().and_then(Store::ca_for_kiali);
    of_store.or_else(|| settings.every_ca.then(String::new))
}

fn values_of(login: &Login) -> Value {
    json!({"issuer": login.issuer, "client_id": login.client_id, "disable_rbac": !login.rbac})
}

pub fn client_secret(namespace: &str, secret: &SecretString) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CLIENT_SECRET, "namespace": namespace},
        "type": "Opaque",
        "data": {record::CLIENT_SECRET: STANDARD.encode(secret.expose_secret())},
    })
}

/// The URL that the CR of this install gives to Kiali.
pub fn to_query(prometheus: &str, settings: &Settings) -> String {
    let url = &metrics(prometheus, settings)["url"];
    url.as_str().unwrap_or_default().into()
}
