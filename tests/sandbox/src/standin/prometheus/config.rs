//! Adapts a Prometheus configuration to this machine, which lacks in-cluster discovery, the container's paths, its
//! localhost and the names of Services. Without delays, Prometheus scrapes more often than configured. Nothing else is
//! changed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::standin::kubelet::TOKEN;
use crate::standin::service;

/// The scrape interval without delays.
const SOON: &str = "3s";

const CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// What paths, names and localhost refer to in a pod.
pub struct Pod<'a> {
    pub api_server: String,
    pub listen: SocketAddr,
    pub namespace: String,
    /// An HTTP proxy that resolves the cluster's names.
    pub names: SocketAddr,
    /// The path of the configuration in the container. Relative paths start from its folder.
    pub config: PathBuf,
    pub place: &'a (dyn Fn(&str) -> Option<PathBuf> + Sync),
    /// Whether to keep the configured scrape interval.
    pub scrapes_as_it_says: bool,
}

/// Returns None if the configuration cannot be parsed, so that the real Prometheus reports the error.
pub fn adapt(text: &str, pod: &Pod<'_>) -> Option<String> {
    let options = serde_yaml::options! { strict_booleans: true };
    let mut config: Value = serde_yaml::from_str_with_options(text, options).ok()?;
    pod.walk(&mut config);
    if !pod.scrapes_as_it_says {
        // The scrape timeout must not be longer than the interval.
        for field in ["/global/scrape_interval", "/global/scrape_timeout"] {
            if let Some(time) = config.pointer_mut(field) {
                *time = SOON.into();
            }
        }
    }
    let jobs = config
        .get_mut("scrape_configs")
        .and_then(Value::as_array_mut);
    for job in jobs.into_iter().flatten() {
        if let Some(job) = job.as_object_mut() {
            pod.static_targets(job);
        }
    }
    // JSON is valid YAML and needs no quoting rules.
    serde_json::to_string_pretty(&config).ok()
}

impl Pod<'_> {
    fn walk(&self, value: &mut Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map.iter_mut() {
                    match key.as_str() {
                        "kubernetes_sd_configs" => self.discovery(value),
                        "files" => self.paths(value),
                        key if key.ends_with("_file") || key.ends_with("_files") => {
                            self.paths(value)
                        }
                        _ => {}
                    }
                    self.walk(value);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.walk(value)),
            _ => {}
        }
    }

    fn paths(&self, value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.paths(value)),
            Value::String(path) if !path.is_empty() => {
                let beside = self.config.parent().unwrap_or(Path::new("/"));
                let inside = beside.join(&*path).display().to_string();
                let placed = (self.place)(&inside).unwrap_or_else(|| PathBuf::from(inside));
                *path = placed.display().to_string();
            }
            _ => {}
        }
    }

    fn discovery(&self, configs: &mut Value) {
        for config in configs.as_array_mut().into_iter().flatten() {
            let Some(config) = config.as_object_mut() else {
                continue;
            };
            self.own_namespace(config);
            // Prometheus rejects a configuration with its own HTTP options but without a server.
            let only = |key: &String| {
                matches!(
                    key.as_str(),
                    "role" | "namespaces" | "selectors" | "attach_metadata"
                )
            };
            let mounted = (self.place)(TOKEN).is_some_and(|token| token.is_file());
            if mounted && config.keys().all(only) {
                config.insert("api_server".into(), json!(self.api_server));
                config.insert("authorization".into(), json!({ "credentials_file": TOKEN }));
                config.insert("tls_config".into(), json!({ "ca_file": CA }));
            }
        }
    }

    /// Replaces `own_namespace`, which Prometheus would read from a fixed path.
    fn own_namespace(&self, config: &mut Map<String, Value>) {
        let Some(namespaces) = config.get_mut("namespaces").and_then(Value::as_object_mut) else {
            return;
        };
        if namespaces.remove("own_namespace") == Some(Value::Bool(true)) {
            let names = namespaces.entry("names").or_insert_with(|| json!([]));
            if let Some(names) = names.as_array_mut() {
                names.push(json!(self.namespace));
            }
        }
    }

    fn static_targets(&self, job: &mut Map<String, Value>) {
        let Some(groups) = job.get("static_configs").and_then(Value::as_array) else {
            return;
        };
        let mut adapted = Vec::new();
        let mut named = false;
        for group in groups {
            let (mut group, mut local) = (group.clone(), Vec::new());
            if let Some(targets) = group.get_mut("targets").and_then(Value::as_array_mut) {
                targets.retain(|target| {
                    let target = target.as_str().unwrap_or_default();
                    let (host, port) = target.rsplit_once(':').unwrap_or((target, "80"));
                    named |= service::parse(host).is_some();
                    let own = matches!(host, "localhost" | "127.0.0.1")
                        && port == self.listen.port().to_string();
                    if own {
                        local.push(target.to_owned());
                    }
                    !own
                });
            }
            for target in local {
                // Keeps the name from the configuration in the label.
                let mut labels = json!({ "instance": target });
                let given = group.get("labels").and_then(Value::as_object);
                for (name, value) in given.into_iter().flatten() {
                    labels[name] = value.clone();
                }
                adapted.push(json!({ "targets": [self.listen.to_string()], "labels": labels }));
            }
            adapted.push(group);
        }
        job.insert("static_configs".into(), Value::Array(adapted));
        if named && !job.contains_key("proxy_url") {
            job.insert("proxy_url".into(), json!(format!("http://{}", self.names)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(text: &str) -> Option<Value> {
        adapted_with(text, true)
    }

    fn adapted_with(text: &str, scrapes_as_it_says: bool) -> Option<Value> {
        let folder = std::env::temp_dir();
        let token = folder.join(format!("sandbox-token-{}", std::process::id()));
        std::fs::write(&token, "t").ok()?;
        let place = |path: &str| match path {
            TOKEN => Some(token.clone()),
            CA => Some("/h/ca.crt".into()),
            path => path
                .strip_prefix("/etc/config")
                .map(|rest| PathBuf::from(format!("/h{rest}"))),
        };
        let pod = Pod {
            api_server: "https://127.0.0.1:1".into(),
            listen: ([127, 1, 128, 1], 9090).into(),
            namespace: "kiali".into(),
            names: ([127, 0, 0, 1], 7).into(),
            config: "/etc/config/prometheus.yml".into(),
            place: &place,
            scrapes_as_it_says,
        };
        serde_json::from_str(&adapt(text, &pod)?).ok()
    }

    #[test]
    fn in_cluster_discovery_only() -> Result<(), &'static str> {
        let config = adapted(
            "scrape_configs:\n- job_name: a\n  kubernetes_sd_configs:\n  - role: pod\n  - {role: pod, api_server: x}\n  - {role: pod, tls_config: {}}\n",
        )
        .ok_or("not read")?;
        let discovery = &config["scrape_configs"][0]["kubernetes_sd_configs"];
        assert_eq!(discovery[0]["api_server"], "https://127.0.0.1:1");
        assert_eq!(discovery[0]["tls_config"]["ca_file"], "/h/ca.crt");
        assert_eq!(discovery[1], json!({"role": "pod", "api_server": "x"}));
        assert_eq!(discovery[2], json!({"role": "pod", "tls_config": {}}));
        Ok(())
    }

    #[test]
    fn paths_localhost_and_names() -> Result<(), &'static str> {
        let config = adapted(
            "global: {scrape_interval: 15s}\nrule_files: [/etc/config/a.yml, b.yml]\nscrape_configs:\n- job_name: p\n  static_configs:\n  - targets: ['localhost:9090', '10.0.0.1:9090']\n- job_name: n\n  static_configs: [{targets: ['prometheus.istio-system:9090']}]\n",
        )
        .ok_or("not read")?;
        assert_eq!(config["global"]["scrape_interval"], "15s");
        assert_eq!(config["rule_files"], json!(["/h/a.yml", "/h/b.yml"]));
        let own = &config["scrape_configs"][0]["static_configs"];
        assert_eq!(
            own[0],
            json!({"targets": ["127.1.128.1:9090"], "labels": {"instance": "localhost:9090"}})
        );
        assert_eq!(own[1], json!({"targets": ["10.0.0.1:9090"]}));
        assert_eq!(config["scrape_configs"][0].get("proxy_url"), None);
        assert_eq!(
            config["scrape_configs"][1]["proxy_url"],
            "http://127.0.0.1:7"
        );
        Ok(())
    }

    #[test]
    fn scrapes_without_delays() {
        let config = "global: {scrape_interval: 15s, scrape_timeout: 10s}\n";
        let soon = json!({"global": {"scrape_interval": "3s", "scrape_timeout": "3s"}});
        assert_eq!(adapted_with(config, false), Some(soon));
        assert_eq!(adapted_with("a: 1\n", false), Some(json!({"a": 1})));
    }

    #[test]
    fn what_cannot_be_read_is_left_to_prometheus() {
        assert_eq!(adapted("scrape_configs: [\n"), None);
        assert_eq!(adapted("a: 1\na: 2\n"), None);
    }
}
