//! Both Prometheus configurations, parsed as Prometheus does.

use serde_json::{Value, json};

use super::table::difference;
use super::there;
use crate::support::Clusters;

const MAP: (&str, &str) = ("v1", "ConfigMap");
const GATEWAY: (&str, &str) = ("gateway.networking.k8s.io/v1", "Gateway");
/// The jobs of Istio's sample that the federation uses.
const JOBS: [&str; 1] = ["kubernetes-pods"];

const SELECTORS: [&str; 5] = [
    r#"{__name__=~"istio_requests_total|istio_request_messages_total|istio_response_messages_total|istio_tcp_received_bytes_total|istio_tcp_sent_bytes_total|istio_tcp_connections_opened_total|istio_tcp_connections_closed_total|istio_tcp_connections_failed_total",instance!=""}"#,
    r#"{__name__=~"istio_request_duration_milliseconds_sum|istio_request_duration_milliseconds_count|istio_request_bytes_sum|istio_request_bytes_count|istio_response_bytes_sum|istio_response_bytes_count",instance!=""}"#,
    r#"{__name__=~"istio_build|pilot_info|pilot_proxy_convergence_time_sum|pilot_proxy_convergence_time_count|pilot_services|pilot_xds|pilot_xds_pushes|workload_manager_active_proxy_count|process_cpu_seconds_total|process_resident_memory_bytes|envoy_cluster_upstream_cx_active|envoy_cluster_upstream_rq_total|envoy_listener_downstream_cx_active|envoy_listener_http_downstream_rq|envoy_server_memory_allocated|envoy_server_memory_heap_size|envoy_server_uptime",instance!=""}"#,
    r#"{__name__=~"container_cpu_usage_seconds_total|container_memory_working_set_bytes",namespace="istio-system",instance!=""}"#,
    r#"{__name__=~"istio_request_duration_milliseconds_bucket",instance!=""}"#,
];
const DROPPED: &str = "apps_kubernetes_io_pod_index|app_kubernetes_io_component|app_kubernetes_io_instance|app_kubernetes_io_managed_by|app_kubernetes_io_part_of|controller_revision_hash|gateway_istio_io_managed|gateway_networking_k8s_io_gateway_class_name|helm_sh_chart|install_operator_istio_io_owning_resource|install_operator_istio_io_owning_resource_namespace|istio_io_dataplane_mode|istio_io_rev|operator_istio_io_component|operator_istio_io_managed|operator_istio_io_version|pod_template_generation|pod_template_hash|security_istio_io_tlsMode|sidecar_istio_io_inject|statefulset_kubernetes_io_pod_name";

/// Compares with the guide's prometheus.yml and a few additional lines.
pub async fn each_cluster_is_scraped_at_its_gateway(clusters: &Clusters) {
    let map = there(clusters, "cluster1", MAP, "kiali/prometheus-config");
    let config = yaml(&map.await, "prometheus.yml");
    let mut jobs = Vec::new();
    for name in ["cluster1", "cluster2"] {
        let gateway = there(clusters, name, GATEWAY, "istio-system/prometheus-gateway").await;
        let address = gateway["status"]["addresses"][0]["value"].as_str();
        let address = address.filter(|a| !a.is_empty()).expect("an address");
        jobs.push(json!({
            // The guide uses federate-1 and federate-2, which are less clear in a list of targets.
            "job_name": format!("federate-{name}"),
            "honor_labels": true,
            "metrics_path": "/federate",
            // In the guide: the job kubernetes-pods. Here: what Kiali reads.
            "params": {"match[]": SELECTORS},
            "static_configs": [{"targets": [format!("{address}:9090")], "labels": {"cluster": name}}],
            // Not in the guide: a series that vanished in the source is stale at once, and an existing label
            // `cluster` is replaced.
            "track_timestamps_staleness": true,
            "metric_relabel_configs": [
                {"target_label": "cluster", "replacement": name},
                // Not in the guide: labels of pods that Kiali does not read.
                {"action": "labeldrop", "regex": DROPPED},
            ],
            // Not in the guide: only home reads them, and only from the Gateway that it knows.
            "scheme": "https",
            "tls_config": {
                "ca_file": format!("gateway-{name}.crt"),
                "cert_file": "client.crt",
                "key_file": "client.key",
                "server_name": "prometheus-gateway.ambikiali.dev",
            },
            // Not in the guide: limits on what a remote can send.
            "follow_redirects": false,
            "sample_limit": 180000,
            "body_size_limit": "320MB",
            "label_limit": 128,
            "label_name_length_limit": 512,
            "label_value_length_limit": 4096,
        }));
    }
    let whole = json!({
        "global": {"scrape_interval": "15s", "scrape_timeout": "12s"}, "scrape_configs": jobs,
    });
    assert_eq!(config, whole);
}

/// Checks the relabelling and discovery of the job that the federation uses.
pub async fn mesh_pods_are_scraped_in_one_job(clusters: &Clusters) {
    for name in ["cluster1", "cluster2"] {
        let map = there(clusters, name, MAP, "istio-system/prometheus");
        let config = yaml(&map.await, "prometheus.yml");
        let jobs = config["scrape_configs"].as_array().expect("jobs");
        let names: Vec<_> = jobs.iter().map(|job| &job["job_name"]).collect();
        assert_eq!(names, JOBS);
        let pods = jobs.iter().find(|job| job["job_name"] == "kubernetes-pods");
        let pods = pods.expect("the job");
        let wanted = json!({
            "honor_labels": true, "kubernetes_sd_configs": [{"role": "pod"}],
            "follow_redirects": false, "sample_limit": 500_000, "body_size_limit": "640MB",
        });
        assert_eq!(difference(&wanted, pods), None);
        let rules = pods["relabel_configs"].as_array().expect("rules");
        let pod = |what: &str| format!("__meta_kubernetes_pod_{what}");
        for (action, source, target) in [
            ("keep", Some("annotation_prometheus_io_scrape"), None),
            ("drop", Some("phase"), None),
            (
                "replace",
                Some("annotation_prometheus_io_path"),
                Some("__metrics_path__"),
            ),
            ("replace", Some("name"), Some("pod")),
            ("replace", Some("node_name"), Some("node")),
        ] {
            let mut rule =
                json!({"action": action, "source_labels": [pod(source.unwrap_or_default())]});
            if let Some(target) = target {
                rule["target_label"] = json!(target);
            }
            assert!(
                rules.iter().any(|r| difference(&rule, r).is_none()),
                "{rule}"
            );
        }
    }
}

/// Reads a key of a ConfigMap as YAML.
fn yaml(map: &Value, key: &str) -> Value {
    let text = map["data"][key].as_str().expect("the key");
    serde_yaml::from_str(text).expect("YAML")
}
