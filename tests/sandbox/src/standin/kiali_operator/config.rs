//! The settings of a Kiali CR merged with the defaults, as in config.yaml of ConfigMap `kiali`.

use serde_json::{Value, json};

/// The settings of one CR including defaults.
pub(super) struct Config {
    pub(super) settings: Value,
    /// `deployment.instance_name`, which names all objects.
    pub(super) instance: String,
    pub(super) namespace: String,
    pub(super) remote: bool,
    /// Whether the ClusterRole is `kiali-viewer` instead of `kiali`.
    pub(super) viewer: bool,
}

impl Config {
    /// Merges the CR with the defaults. `namespace` is the namespace of the CR.
    pub(super) fn of(spec: &Value, namespace: &str) -> Config {
        let mut settings = defaults();
        merge(&mut settings, spec);
        fill(&mut settings, "/deployment/namespace", namespace);
        let namespace = text(&settings, "/deployment/namespace").to_string();
        let service = |name: &str, port: u16| format!("http://{name}.{namespace}:{port}");
        fill(&mut settings, "/auth/strategy", "token");
        fill(&mut settings, "/server/web_root", "/kiali");
        fill(
            &mut settings,
            "/external_services/prometheus/url",
            &service("prometheus", 9090),
        );
        fill(
            &mut settings,
            "/external_services/grafana/internal_url",
            "http://grafana.istio-system:3000",
        );
        if let Some(root) = settings.pointer_mut("/server/web_root") {
            let trimmed = root
                .as_str()
                .unwrap_or_default()
                .trim_end_matches('/')
                .to_string();
            *root = json!(if trimmed.is_empty() {
                "/"
            } else {
                trimmed.as_str()
            });
        }
        let remote = flag(&settings, "/deployment/remote_cluster_resources_only");
        let viewer = flag(&settings, "/deployment/view_only_mode")
            || text(&settings, "/auth/strategy") != "anonymous";
        let instance = text(&settings, "/deployment/instance_name").to_string();
        Config {
            settings,
            instance,
            namespace,
            remote,
            viewer,
        }
    }

    pub(super) fn text(&self, pointer: &str) -> &str {
        text(&self.settings, pointer)
    }

    pub(super) fn flag(&self, pointer: &str) -> bool {
        flag(&self.settings, pointer)
    }

    pub(super) fn number(&self, pointer: &str, default: i64) -> i64 {
        self.settings
            .pointer(pointer)
            .and_then(Value::as_i64)
            .unwrap_or(default)
    }

    pub(super) fn value(&self, pointer: &str) -> Value {
        self.settings.pointer(pointer).cloned().unwrap_or_default()
    }

    pub(super) fn role(&self) -> String {
        if self.viewer {
            format!("{}-viewer", self.instance)
        } else {
            self.instance.clone()
        }
    }

    pub(super) fn service_account(&self) -> String {
        format!("{}-service-account", self.instance)
    }

    pub(super) fn yaml(&self) -> Result<String, String> {
        serde_yaml::to_string(&self.settings).map_err(|e| e.to_string())
    }
}

fn text<'a>(settings: &'a Value, pointer: &str) -> &'a str {
    settings
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn flag(settings: &Value, pointer: &str) -> bool {
    settings
        .pointer(pointer)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

fn fill(settings: &mut Value, pointer: &str, default: &str) {
    if text(settings, pointer).is_empty()
        && let Some(value) = settings.pointer_mut(pointer)
    {
        *value = json!(default);
    }
}

/// Merges maps. Replaces lists and scalars.
fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn defaults() -> Value {
    let auth = json!({"type": "none", "username": "", "password": "", "token": ""});
    json!({
        "version": "default",
        "installation_tag": "",
        "additional_display_details": [],
        "auth": {"strategy": ""},
        "clustering": {
            "autodetect_secrets": {"enabled": true, "label": "kiali.io/multiCluster=true"},
            "clusters": [], "enable_exec_provider": false, "ignore_home_cluster": false,
        },
        "custom_dashboards": [],
        "deployment": {
            "additional_service_yaml": {}, "cluster_wide_access": true, "custom_secrets": [],
            "image_digest": "", "image_name": "", "image_pull_policy": "IfNotPresent",
            "image_pull_secrets": [], "image_version": "", "instance_name": "kiali",
            "logger": {"log_format": "text", "log_level": "info", "sampler_rate": "1",
                "time_field_format": "2006-01-02T15:04:05Z07:00"},
            "namespace": "", "network_policy": {"enabled": true}, "node_selector": {},
            "pod_annotations": {}, "pod_labels": {}, "priority_class_name": "",
            "probes": {
                "liveness": {"initial_delay_seconds": 5, "period_seconds": 30},
                "readiness": {"initial_delay_seconds": 5, "period_seconds": 30},
                "startup": {"failure_threshold": 6, "initial_delay_seconds": 30, "period_seconds": 10},
            },
            "remote_cluster_resources_only": false, "replicas": 1,
            "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
            "secret_name": "kiali", "service_annotations": {}, "service_type": "", "tolerations": [],
            "version_label": "", "view_only_mode": false,
        },
        "external_services": {
            "custom_dashboards": {"enabled": true},
            "grafana": {"auth": auth, "enabled": true, "internal_url": ""},
            "istio": {"root_namespace": "istio-system", "istiod_polling_interval_seconds": 20},
            "prometheus": {"auth": auth, "cache_enabled": true, "cache_duration": 7,
                "cache_expiration": 300, "enabled": true, "health_check_url": "", "is_core": true,
                "query_scope": {}, "url": ""},
            "tracing": {"enabled": false},
        },
        "health_config": {"rate": []},
        "identity": {"cert_file": "", "private_key_file": ""},
        "istio_labels": {"ambient_namespace_label": "istio.io/dataplane-mode",
            "ambient_namespace_label_value": "ambient"},
        "kiali_feature_flags": {},
        "kubernetes_config": {"burst": 200, "cluster_name": "", "qps": 175},
        "login_token": {"expiration_seconds": 86400, "signing_key": ""},
        "server": {"address": "", "audit_log": true, "gzip_enabled": true,
            "observability": {"metrics": {"enabled": true, "port": 9090}}, "port": 20001,
            "web_fqdn": "", "web_history_mode": "", "web_port": "", "web_root": "", "web_schema": ""},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_home_cr() {
        let spec = json!({
            "auth": {"strategy": "anonymous"},
            "external_services": {"grafana": {"enabled": false}},
            "server": {"web_root": "/mesh/"},
        });
        let config = Config::of(&spec, "kiali");
        assert_eq!(
            config.text("/external_services/prometheus/url"),
            "http://prometheus.kiali:9090"
        );
        assert!(!config.flag("/external_services/grafana/enabled"));
        assert_eq!(config.text("/server/web_root"), "/mesh");
        assert_eq!((config.role().as_str(), config.remote), ("kiali", false));
        assert_eq!(config.number("/server/port", 0), 20001);
        let yaml: Value = serde_yaml::from_str(&config.yaml().unwrap()).unwrap();
        assert_eq!(yaml, config.settings);
    }

    #[test]
    fn a_strategy_with_login_or_view_only_is_bound_to_the_viewer() {
        let viewer = |spec: Value| Config::of(&spec, "kiali").role();
        assert_eq!(viewer(json!({})), "kiali-viewer");
        assert_eq!(
            viewer(json!({"auth": {"strategy": "openid"}})),
            "kiali-viewer"
        );
        let view_only =
            json!({"auth": {"strategy": "anonymous"}, "deployment": {"view_only_mode": true}});
        assert_eq!(viewer(view_only), "kiali-viewer");
    }
}
