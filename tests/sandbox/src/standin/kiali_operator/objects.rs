//! The objects that the operator writes for a Kiali CR, except for the Deployment and the RBAC rules.

use serde_json::{Value, json};

use super::config::Config;
use super::rbac;

pub(super) fn labels(config: &Config, version: &str) -> Value {
    let label = config.text("/deployment/version_label");
    let version = if label.is_empty() { version } else { label };
    json!({
        "app": "kiali",
        "version": version,
        "app.kubernetes.io/name": "kiali",
        "app.kubernetes.io/version": version,
        "app.kubernetes.io/instance": config.instance,
        "app.kubernetes.io/part-of": "kiali",
    })
}

fn object(api: &str, kind: &str, name: &str, config: &Config, version: &str) -> Value {
    let mut metadata = json!({"name": name, "labels": labels(config, version)});
    if !kind.starts_with("ClusterRole") {
        metadata["namespace"] = json!(config.namespace);
    }
    json!({"apiVersion": api, "kind": kind, "metadata": metadata})
}

pub(super) fn service_account(config: &Config, version: &str) -> Value {
    object(
        "v1",
        "ServiceAccount",
        &config.service_account(),
        config,
        version,
    )
}

pub(super) fn config_map(config: &Config, version: &str) -> Result<Value, String> {
    let mut map = object("v1", "ConfigMap", &config.instance, config, version);
    map["data"] = json!({"config.yaml": config.yaml()?});
    Ok(map)
}

/// The key that signs Kiali's sessions.
pub(super) const SIGNING_KEY: &str = "kiali-signing-key";

const RBAC: &str = "rbac.authorization.k8s.io";

pub(super) fn cluster_role(config: &Config, version: &str) -> Value {
    let api = format!("{RBAC}/v1");
    let mut role = object(&api, "ClusterRole", &config.role(), config, version);
    role["rules"] = rbac::rules(config.viewer);
    role
}

pub(super) fn cluster_role_binding(config: &Config, version: &str) -> Value {
    let api = format!("{RBAC}/v1");
    let mut binding = object(
        &api,
        "ClusterRoleBinding",
        &config.instance,
        config,
        version,
    );
    binding["roleRef"] = json!({"apiGroup": RBAC, "kind": "ClusterRole", "name": config.role()});
    binding["subjects"] = json!([
        {"kind": "ServiceAccount", "name": config.service_account(), "namespace": config.namespace},
    ]);
    binding
}

pub(super) fn signing_key(config: &Config, version: &str, key: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {
            "name": SIGNING_KEY, "namespace": config.namespace,
            "labels": {"app": "kiali", "version": version},
        },
        "stringData": {"key": key},
    })
}

pub(super) fn signing_key_label(config: &Config) -> Value {
    let label = format!("kiali.io/{}.home", config.instance);
    json!({"metadata": {"labels": {label: config.namespace}}})
}

pub(super) fn service(config: &Config, version: &str) -> Value {
    let mut service = object("v1", "Service", &config.instance, config, version);
    service["metadata"]["annotations"] = config.value("/deployment/service_annotations");
    let port = config.number("/server/port", 20001);
    let metrics = config.number("/server/observability/metrics/port", 9090);
    service["spec"] = json!({
        "ports": [
            {"name": "http", "appProtocol": "http", "protocol": "TCP", "port": port},
            {"name": "http-metrics", "appProtocol": "http", "protocol": "TCP", "port": metrics},
        ],
        "selector": {"app.kubernetes.io/name": "kiali", "app.kubernetes.io/instance": config.instance},
    });
    let kind = config.text("/deployment/service_type");
    if !kind.is_empty() {
        service["spec"]["type"] = json!(kind);
    }
    service
}

/// Does not allow HBONE (port 15008), which is a trap if namespace `kiali` is added to the mesh.
pub(super) fn network_policy(config: &Config, version: &str) -> Value {
    let api = "networking.k8s.io/v1";
    let mut policy = object(api, "NetworkPolicy", &config.instance, config, version);
    let ports = [
        config.number("/server/port", 20001),
        config.number("/server/observability/metrics/port", 9090),
    ];
    let ports: Vec<Value> = ports.map(|p| json!({"protocol": "TCP", "port": p})).into();
    policy["spec"] = json!({
        "podSelector": {"matchLabels": {
            "app.kubernetes.io/name": "kiali", "app.kubernetes.io/instance": config.instance,
        }},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": ports}],
    });
    policy
}
