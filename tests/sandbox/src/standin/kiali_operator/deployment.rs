//! Kiali's Deployment, with a volume for each remote cluster Secret that existed at this run.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::config::Config;
use super::objects::{SIGNING_KEY, labels};

pub(super) const LAST_UPDATED: &str = "operator.kiali.io/last-updated";
pub(super) const MULTI_CLUSTER_SECRET: &str = "kiali-multi-cluster-secret";
const REMOTES: &str = "/kiali-remote-cluster-secrets";

/// Returns the Deployment. `version` is the operator's own version. `updated` is the value of the annotation that
/// restarts Kiali.
pub(super) fn deployment(
    config: &Config,
    version: &str,
    remotes: &[Secret],
    updated: &str,
) -> Value {
    let selector = json!({
        "app.kubernetes.io/name": "kiali", "app.kubernetes.io/instance": config.instance,
    });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": config.instance, "namespace": config.namespace, "labels": labels(config, version),
        },
        "spec": {
            "replicas": config.number("/deployment/replicas", 1),
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
            "template": {
                "metadata": {
                    "name": config.instance,
                    "labels": combined(labels(config, version), config.value("/deployment/pod_labels")),
                    "annotations": annotations(config, updated),
                },
                "spec": pod(config, version, remotes),
            },
        },
    })
}

fn annotations(config: &Config, updated: &str) -> Value {
    let metrics = config.flag("/server/observability/metrics/enabled");
    let mut annotations = json!({
        "prometheus.io/scrape": metrics.to_string(),
        "prometheus.io/port": config.number("/server/observability/metrics/port", 9090).to_string(),
        "prometheus.io/scheme": "http",
        "proxy.istio.io/config": "{ \"holdApplicationUntilProxyStarts\": true }",
        "kiali.io/dashboards": "go,kiali",
    });
    annotations[LAST_UPDATED] = json!(updated);
    combined(annotations, config.value("/deployment/pod_annotations"))
}

fn combined(mut into: Value, from: Value) -> Value {
    if let (Value::Object(into), Value::Object(from)) = (&mut into, from) {
        into.extend(from);
    }
    into
}

fn pod(config: &Config, version: &str, remotes: &[Secret]) -> Value {
    let (volumes, mounts) = volumes(config, remotes);
    let mut pod = json!({
        "serviceAccountName": config.service_account(),
        "containers": [container(config, version, mounts)],
        "volumes": volumes,
    });
    let optional = [
        ("nodeSelector", "/deployment/node_selector"),
        ("tolerations", "/deployment/tolerations"),
        ("priorityClassName", "/deployment/priority_class_name"),
    ];
    for (field, setting) in optional {
        let value = config.value(setting);
        if ![json!({}), json!([]), json!("")].contains(&value) {
            pod[field] = value;
        }
    }
    pod
}

fn container(config: &Config, version: &str, mounts: Vec<Value>) -> Value {
    let log = |name: &str| config.value(&format!("/deployment/logger/{name}"));
    json!({
        "name": "kiali",
        "image": image(config, version),
        "imagePullPolicy": config.value("/deployment/image_pull_policy"),
        "command": ["/opt/kiali/kiali", "-config", "/kiali-configuration/config.yaml"],
        "securityContext": security(config),
        "ports": [
            {"name": "api-port", "containerPort": config.number("/server/port", 20001)},
            {"name": "http-metrics", "containerPort": config.number("/server/observability/metrics/port", 9090)},
        ],
        "readinessProbe": probe(config, "readiness"),
        "livenessProbe": probe(config, "liveness"),
        "startupProbe": probe(config, "startup"),
        "env": [
            {"name": "ACTIVE_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "LOG_FORMAT", "value": log("log_format")},
            {"name": "LOG_LEVEL", "value": log("log_level")},
            {"name": "LOG_SAMPLER_RATE", "value": log("sampler_rate")},
            {"name": "LOG_TIME_FIELD_FORMAT", "value": log("time_field_format")},
        ],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
        "resources": config.value("/deployment/resources"),
    })
}

/// A CR may add fields, but cannot change the fields that the operator sets.
fn security(config: &Config) -> Value {
    let added = combined(json!({}), config.value("/deployment/security_context"));
    let set = json!({
        "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true,
        "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]},
    });
    combined(added, set)
}

fn image(config: &Config, version: &str) -> String {
    let or = |setting: &str, default: &str| match config.text(setting) {
        "" | "operator_version" => default.to_string(),
        set => set.to_string(),
    };
    let name = or("/deployment/image_name", "quay.io/kiali/kiali");
    let digest = config.text("/deployment/image_digest");
    let digest = if digest.is_empty() {
        String::new()
    } else {
        format!("@{digest}")
    };
    let tag = if version == "master" {
        "latest"
    } else {
        version
    };
    format!("{name}{digest}:{}", or("/deployment/image_version", tag))
}

fn probe(config: &Config, kind: &str) -> Value {
    let number = |field: &str, default| {
        config.number(&format!("/deployment/probes/{kind}/{field}"), default)
    };
    let root = config.text("/server/web_root").trim_end_matches('/');
    json!({
        "httpGet": {"path": format!("{root}/healthz"), "port": "api-port", "scheme": "HTTP"},
        "initialDelaySeconds": number("initial_delay_seconds", 5),
        "periodSeconds": number("period_seconds", 30),
        "failureThreshold": number("failure_threshold", 3),
    })
}

fn volumes(config: &Config, remotes: &[Secret]) -> (Vec<Value>, Vec<Value>) {
    let optional = |name: &str| json!({"secretName": name, "optional": true});
    let cabundle = format!("{}-cabundle", config.instance);
    let mut volumes = vec![
        json!({"name": "kiali-configuration", "configMap": {"name": config.instance}}),
        json!({"name": "kiali-secret", "secret": optional(config.text("/deployment/secret_name"))}),
        json!({"name": "kiali-cabundle", "configMap": {"name": cabundle, "optional": true}}),
        json!({"name": MULTI_CLUSTER_SECRET, "secret": optional(MULTI_CLUSTER_SECRET)}),
    ];
    let mount =
        |name: &str, path: String| json!({"name": name, "mountPath": path, "readOnly": true});
    let mut mounts = vec![
        mount("kiali-configuration", "/kiali-configuration".into()),
        mount("kiali-secret", "/kiali-secret".into()),
        mount("kiali-cabundle", "/kiali-cabundle".into()),
        mount(
            MULTI_CLUSTER_SECRET,
            format!("{REMOTES}/{MULTI_CLUSTER_SECRET}"),
        ),
    ];
    if config.text("/login_token/signing_key").is_empty() {
        // Not optional: no pod starts without it.
        volumes.push(json!({"name": SIGNING_KEY, "secret": {"secretName": SIGNING_KEY}}));
        mounts.push(mount(
            SIGNING_KEY,
            format!("/kiali-override-secrets/{SIGNING_KEY}"),
        ));
    }
    for key in ["username", "password", "token"] {
        // Not optional: no pod starts without it.
        let value = config.text(&format!("/external_services/prometheus/auth/{key}"));
        let Some((secret, of)) = value
            .strip_prefix("secret:")
            .and_then(|v| v.split_once(':'))
        else {
            continue;
        };
        let name = format!("prometheus-{key}");
        let items = json!([{"key": of, "path": "value.txt"}]);
        volumes.push(json!({"name": name, "secret": {"secretName": secret, "items": items}}));
        mounts.push(mount(&name, format!("/kiali-override-secrets/{name}")));
    }
    for secret in config
        .value("/deployment/custom_secrets")
        .as_array()
        .into_iter()
        .flatten()
    {
        let (name, path) = (&secret["name"], &secret["mount"]);
        let is_optional = secret["optional"].as_bool().unwrap_or_default();
        volumes
            .push(json!({"name": name, "secret": {"secretName": name, "optional": is_optional}}));
        mounts.push(json!({"name": name, "mountPath": path}));
    }
    for secret in remotes {
        // Not optional, and never removed by the operator. Both are traps of the real one.
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let annotated = secret
            .metadata
            .annotations
            .iter()
            .flatten()
            .find(|a| a.0 == "kiali.io/cluster");
        let volume = annotated.map_or(name, |a| a.1.as_str());
        volumes.push(json!({"name": volume, "secret": {"secretName": name}}));
        mounts.push(mount(volume, format!("{REMOTES}/{name}")));
    }
    (volumes, mounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_and_image_follow_the_cr() {
        let spec = json!({
            "auth": {"strategy": "anonymous"},
            "deployment": {"probes": {"startup": {"initial_delay_seconds": 1}}},
            "server": {"web_root": "/"},
        });
        let made = deployment(&Config::of(&spec, "kiali"), "v2.29.0", &[], "");
        let container = &made["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "quay.io/kiali/kiali:v2.29.0");
        assert_eq!(container["startupProbe"]["initialDelaySeconds"], 1);
        assert_eq!(container["startupProbe"]["failureThreshold"], 6);
        assert_eq!(container["startupProbe"]["httpGet"]["path"], "/healthz");
    }

    #[test]
    fn a_remote_secret_is_a_volume_named_by_its_annotation() {
        let secret: Secret = serde_json::from_value(json!({"metadata": {
            "name": "kiali-remote-cluster-secret-c2", "annotations": {"kiali.io/cluster": "c2"},
        }}))
        .unwrap();
        let made = deployment(&Config::of(&json!({}), "kiali"), "v2.29.0", &[secret], "");
        let pod = &made["spec"]["template"]["spec"];
        let volume = pod["volumes"].as_array().and_then(|v| v.last()).unwrap();
        assert_eq!(
            volume,
            &json!({"name": "c2", "secret": {"secretName": "kiali-remote-cluster-secret-c2"}})
        );
        let mount = pod["containers"][0]["volumeMounts"]
            .as_array()
            .and_then(|v| v.last())
            .unwrap();
        assert_eq!(
            mount["mountPath"],
            "/kiali-remote-cluster-secrets/kiali-remote-cluster-secret-c2"
        );
    }
}
