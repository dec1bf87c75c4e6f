//! The manifests compiled into the binary, rendered and read as data. Templates escape to JSON, so
//! no value can inject YAML; the one place that reads or writes YAML.

use anyhow::{Context, Result};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::visible;

/// Version of the operator, which installs the Kiali of the same version.
pub const KIALI_VERSION: &str = "v2.29.0";

/// A manifest, by its file name.
#[derive(Clone, Copy, Debug)]
pub struct Manifest {
    file: &'static str,
    text: &'static str,
}

macro_rules! manifest {
    ($name:ident, $file:literal) => {
        pub const $name: Manifest = Manifest {
            file: $file,
            text: include_str!(concat!("../manifests/", $file)),
        };
    };
}

manifest!(NAMESPACE, "namespace.yaml");
manifest!(CLUSTER_PROMETHEUS, "cluster-prometheus.yaml");
manifest!(PROMETHEUS_GATEWAY, "prometheus-gateway.yaml");
manifest!(FEDERATED_PROMETHEUS, "federated-prometheus.yaml");
manifest!(KIALI_CRD, "kiali-crd.yaml");
manifest!(KIALI_OPERATOR, "kiali-operator.yaml");
manifest!(REMOTE_CLUSTER, "remote-cluster.yaml");
manifest!(KIALI, "kiali.yaml");
manifest!(PROBES, "probes.yaml");
manifest!(NAMESPACE_ADMIN, "namespace-admin.yaml");

/// Scrape jobs of the Prometheus in each cluster.
pub const CLUSTER_PROMETHEUS_CONFIG: Manifest = Manifest {
    file: "cluster-prometheus.config.yaml",
    text: include_str!("../manifests/cluster-prometheus.config.yaml"),
};

/// User `nobody` as a number, because the kubelet cannot verify that a user name is not root. Null if the platform
/// assigns users to the pods of each namespace and rejects others.
pub fn pod_user(assigned: bool) -> Value {
    match assigned {
        true => Value::Null,
        false => json!(65534),
    }
}

/// The object of a manifest that has a single one.
pub fn render_one(manifest: Manifest, values: Value) -> Result<Value> {
    let mut objects = render(manifest, values)?.into_iter();
    let only = objects.next().filter(|_| objects.len() == 0);
    only.with_context(|| format!("{} has more or less than one object", manifest.file))
}

/// The object of a kind of which there is one.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    let found = objects.iter().find(|object| object["kind"] == kind);
    found.with_context(|| format!("the manifest has a {kind}"))
}

/// Renders a manifest and returns its objects. The version is always defined.
pub fn render(manifest: Manifest, values: Value) -> Result<Vec<Value>> {
    let mut all = json!({"kiali_version": KIALI_VERSION});
    if let (Some(all), Value::Object(values)) = (all.as_object_mut(), values) {
        all.extend(values);
    }
    let text = text(manifest, all)?;
    let objects = serde_yaml::from_multiple_with_options::<Value>(&text, options());
    objects.with_context(|| format!("manifest {}", manifest.file))
}

/// Renders a manifest as text.
pub fn text(manifest: Manifest, values: Value) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // The suffix .yaml enables the escaping.
    environment.add_template(manifest.file, manifest.text)?;
    let template = environment.get_template(manifest.file)?;
    Ok(template.render(minijinja::value::Serde(values))?)
}

fn options() -> serde_yaml::Options {
    // `no` and `on` are booleans, as in kubectl.
    serde_yaml::options! { strict_booleans: true }
}

pub fn to_yaml(value: &impl Serialize) -> Result<String> {
    let yaml = serde_yaml::to_string(value)?;
    if !yaml.contains(|c| c != '\n' && visible::is_hidden(c)) {
        return Ok(yaml);
    }
    // JSON is valid YAML and can escape control characters.
    let json = serde_json::to_string_pretty(value)?;
    Ok(visible::in_json(&json, false) + "\n")
}

pub fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T> {
    Ok(serde_yaml::from_str_with_options(text, options())?)
}

/// A hash of the configuration. In a pod template, it makes a changed configuration trigger a rollout.
pub fn hash(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::images;

    /// Renders every manifest with values that would break it if they were not escaped.
    fn hostile() -> Value {
        json!({
            "namespace": "x\ny: z", "page": "a: b\n- c", "config": "a: no\n---\nb: \"1:30\"\n", "config_hash": "no",
            "prometheus_port": 9090, "revision": "no", "pod_user": 65534, "prometheus": {"url": "http://x: y #z"}, "home": "1:30",
            "images": {
                "prometheus": "no", "kiali_operator": "a: b",
                "kiali": {"name": "x\ny: z", "digest": "no", "version": "1:30"},
            },
            "annotations": {"x\ny: z": "a: b\n- c"}, "source_ranges": ["x\ny: z"],
            "mutual_tls": true, "tls_data": {"x\ny: z": "a: b\n- c"}, "tls_files": ["x\ny: z"],
            "own_kiali": "true", "view_only": "a: b", "allow_write": true, "network_policies": true, "read_timeout": "a: b",
            "login": {"issuer": "x\ny: z", "client_id": "1:30", "disable_rbac": true},
            "token": "a: b\n- c", "expires": "false",
            "sources": [{"secret": {"name": "x\ny: z"}}],
            "history": {"arguments": ["x\ny: z"], "claim": {"size": "a: b", "class": "no"}},
            "token": "a: b\n- c", "expires": "false", "writes": true, "store_secret": "a: b\n- c",
            "memory": "1Gi\nx: y",
            "store_client_file": "x\ny: z", "store_client": "a: b\n- c",
            "store_ca_file": "1:30", "store_ca": "a: b\n- c", "ca": "a: b\n- c",
        })
    }

    #[test]
    fn values_cannot_inject_yaml() {
        for manifest in [
            NAMESPACE,
            CLUSTER_PROMETHEUS,
            PROMETHEUS_GATEWAY,
            FEDERATED_PROMETHEUS,
            KIALI_CRD,
            KIALI_OPERATOR,
            REMOTE_CLUSTER,
            KIALI,
            PROBES,
        ] {
            let objects = render(manifest, hostile()).unwrap();
            assert!(!objects.is_empty(), "{}", manifest.file);
            for object in &objects {
                assert!(
                    crate::k8s::kinds::id(object).is_ok(),
                    "{}: {object}",
                    manifest.file
                );
            }
        }
        let objects = render(PROMETHEUS_GATEWAY, hostile()).unwrap();
        assert_eq!(
            objects[0]["data"],
            json!({"service": "spec:\n  loadBalancerSourceRanges: [\"x\\ny: z\"]\n"})
        );
        let objects = render(FEDERATED_PROMETHEUS, hostile()).unwrap();
        assert_eq!(
            objects[1]["data"]["prometheus.yml"],
            "a: no\n---\nb: \"1:30\"\n"
        );
        assert_eq!(objects[0]["data"], json!({"x\ny: z": "a: b\n- c"}));
        assert_eq!(objects[0]["metadata"]["namespace"], "x\ny: z");
        assert_eq!(
            render(KIALI, hostile()).unwrap()[0]["spec"]["kubernetes_config"]["cluster_name"],
            "1:30"
        );
    }

    #[test]
    fn a_missing_value_is_an_error() {
        // The built-in functions are disabled, because one of them is called namespace.
        assert!(render(NAMESPACE, json!({})).is_err());
        assert!(render(KIALI, json!({"namespace": "kiali", "home": "a"})).is_err());
    }

    #[test]
    fn every_image_is_pinned() {
        assert!(images::PROMETHEUS.contains("@sha256:"));
        for of_kiali in [images::KIALI_OPERATOR, images::KIALI] {
            assert!(of_kiali.ends_with(KIALI_VERSION), "{of_kiali}");
        }
    }
}
