//! What a store adds to the objects of an install.

use serde_json::{Map, Value, json};

use super::{Credentials, Store};
use crate::mesh::ClusterName;
use crate::metrics::Metrics;

/// Where the Prometheus of each cluster finds the credentials.
pub const FOLDER: &str = "/etc/store";
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
        let file = |key: &str| format!("{FOLDER}/{key}");
        match &self.credentials {
            Some(Credentials::Basic(_)) => {
                to["basic_auth"] =
                    json!({"username_file": file("username"), "password_file": file("password")});
            }
            Some(Credentials::Bearer(_)) => {
                to["authorization"] = json!({"type": "Bearer", "credentials_file": file("token")});
            }
            None => {}
        }
        json!({"remote_write": [to]})
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
