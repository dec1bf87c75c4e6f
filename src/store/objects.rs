//! What a store adds to the objects of an install.

use serde_json::{Map, Value, json};

use super::{Credentials, Store, ca, is_https};
use crate::mesh::ClusterName;
use crate::metrics::Metrics;

/// Where the Prometheus of each cluster finds the credentials.
pub const FOLDER: &str = "/etc/store";
/// Where it finds its configuration, and in it the CA of the store and how to ask the store.
const CONFIGURATION: &str = "/etc/config";
pub const CA_FILE: &str = "store-ca.pem";
pub const CLIENT_FILE: &str = "store-client.yml";
/// For how far back Kiali offers metrics of a store that does not say it.
const RETENTION: &str = "15d";

impl Store {
    /// The section of Prometheus' configuration.
    pub fn remote_write(&self, cluster: &ClusterName, metrics: Metrics) -> Value {
        let mut to = json!({
            "name": "ambikiali",
            "url": self.write_url,
            // A redirect would send the metrics, and the credentials, where nobody asked for.
            "follow_redirects": false,
            "queue_config": {"batch_send_deadline": "5s"},
            "write_relabel_configs": [
                {"action": "keep", "source_labels": ["__name__"], "regex": metrics.profile.keep_regex()},
                {"action": "labelkeep", "regex": metrics.profile.labels_regex()},
                // Not an external label, which a label of that name from a pod would overrule.
                {"action": "replace", "target_label": "cluster", "replacement": cluster.as_str()},
            ],
        });
        if !self.headers.is_empty() {
            to["headers"] = json!(self.headers);
        }
        self.prove(&mut to, &self.write_url);
        json!({"remote_write": [to]})
    }

    /// How a client of Prometheus' own, such as promtool, asks the store.
    pub fn client(&self) -> Value {
        let mut client = json!({"follow_redirects": false});
        if !self.headers.is_empty() {
            let headers = self.headers.iter();
            let headers = headers.map(|(name, value)| (name.clone(), json!({"values": [value]})));
            client["http_headers"] = headers.collect::<Map<_, _>>().into();
        }
        self.prove(&mut client, &self.url);
        client
    }

    /// The path of that configuration in the pod.
    pub fn client_file() -> String {
        format!("{CONFIGURATION}/{CLIENT_FILE}")
    }

    /// The PEM of the CA for Prometheus. None without one.
    pub fn ca_text(&self) -> Option<String> {
        self.ca.as_deref().and_then(ca::text)
    }

    /// The PEM of the CA for Kiali, which asks two of the URLs.
    pub fn ca_for_kiali(&self) -> Option<String> {
        let health = self.health_url.as_deref();
        let asks = is_https(&self.url) || health.is_some_and(is_https);
        self.ca_text().filter(|_| asks)
    }

    /// Adds the credentials and the CA, which are files in the pod.
    fn prove(&self, client: &mut Value, url: &str) {
        let file = |key: &str| format!("{FOLDER}/{key}");
        match &self.credentials {
            Some(Credentials::Basic(_)) => {
                client["basic_auth"] =
                    json!({"username_file": file("username"), "password_file": file("password")});
            }
            Some(Credentials::Bearer(_)) => {
                client["authorization"] =
                    json!({"type": "Bearer", "credentials_file": file("token")});
            }
            None => {}
        }
        if self.ca.is_some() && is_https(url) {
            client["tls_config"] = json!({"ca_file": format!("{CONFIGURATION}/{CA_FILE}")});
        }
    }

    /// Kiali's `external_services.prometheus`.
    pub fn for_kiali(&self, metrics: Metrics) -> Value {
        let mut prometheus = Map::new();
        prometheus.insert("url".into(), json!(self.url));
        if let Some(url) = &self.health_url {
            prometheus.insert("health_check_url".into(), json!(url));
        }
        if !self.headers.is_empty() {
            prometheus.insert("custom_headers".into(), json!(self.headers));
        }
        if self.engine.is_asked_in_vain() {
            let proxy = json!({
                "enabled": true, "scrape_interval": metrics.interval.to_string(), "retention_period": RETENTION,
            });
            prometheus.insert("thanos_proxy".into(), proxy);
        }
        let of = |name: &str, key: &str| format!("secret:{name}:{key}");
        let auth = match &self.credentials {
            Some(Credentials::Basic(name)) => json!({
                "type": "basic", "username": of(name, "username"), "password": of(name, "password"),
            }),
            Some(Credentials::Bearer(name)) => {
                json!({"type": "bearer", "token": of(name, "token")})
            }
            None => return prometheus.into(),
        };
        prometheus.insert("auth".into(), auth);
        prometheus.into()
    }
}
