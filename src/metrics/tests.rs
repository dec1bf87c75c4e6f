use super::*;

/// What Kiali's documentation names as required, without the buckets of sizes and without containers.
const REQUIRED: [&str; 31] = [
    "istio_requests_total",
    "istio_request_bytes_count",
    "istio_request_bytes_sum",
    "istio_request_duration_milliseconds_bucket",
    "istio_request_duration_milliseconds_count",
    "istio_request_duration_milliseconds_sum",
    "istio_request_messages_total",
    "istio_response_bytes_count",
    "istio_response_bytes_sum",
    "istio_response_messages_total",
    "istio_tcp_connections_closed_total",
    "istio_tcp_connections_opened_total",
    "istio_tcp_received_bytes_total",
    "istio_tcp_sent_bytes_total",
    "istio_build",
    "pilot_info",
    "pilot_proxy_convergence_time_count",
    "pilot_proxy_convergence_time_sum",
    "pilot_services",
    "pilot_xds",
    "pilot_xds_pushes",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "workload_manager_active_proxy_count",
    "envoy_cluster_upstream_cx_active",
    "envoy_cluster_upstream_rq_total",
    "envoy_listener_downstream_cx_active",
    "envoy_listener_http_downstream_rq",
    "envoy_server_memory_allocated",
    "envoy_server_memory_heap_size",
    "envoy_server_uptime",
];
const OF_VERIFY: &str = "istio_tcp_connections_failed_total";

fn sorted(names: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names = names.into_iter().collect::<Vec<_>>();
    names.sort_unstable();
    names
}

#[test]
fn core_has_what_kiali_reads_and_lean_the_same_without_buckets() {
    let needed = || REQUIRED.into_iter().chain([OF_VERIFY]);
    let core = Profile::Core.names().unwrap();
    assert_eq!(sorted(core), sorted(needed()));
    let lean = Profile::Lean.names().unwrap();
    let without = needed().filter(|name| !name.ends_with("_bucket"));
    assert_eq!(sorted(lean), sorted(without));
    assert_eq!(Profile::Guide.names(), None);
}

#[test]
fn the_selectors_of_a_profile_name_each_metric_once() {
    for profile in [Profile::Core, Profile::Lean] {
        let selectors = profile.selectors();
        for name in profile.names().unwrap() {
            let all = selectors.iter().flat_map(|s| s.split(['"', '|']));
            assert_eq!(all.filter(|part| *part == name).count(), 1, "{name}");
            assert!(profile.keep_regex().split('|').any(|part| part == name));
        }
        assert!(
            selectors.iter().all(|s| s.ends_with(",instance!=\"\"}")),
            "{selectors:?}"
        );
    }
    assert_eq!(Profile::Guide.selectors(), [r#"{job="kubernetes-pods"}"#]);
    assert_eq!(Profile::Guide.keep_regex(), ".+");
}

#[test]
fn no_label_is_dropped_that_kiali_reads_or_that_tells_series_apart() {
    let needed = [
        "__name__",
        "le",
        "cluster",
        "namespace",
        "pod",
        "instance",
        "job",
        "app",
        "reporter",
        "source_cluster",
        "destination_service_name",
        "destination_canonical_revision",
        "source_principal",
        "destination_zone",
        "request_protocol",
        "response_code",
        "grpc_response_status",
        "response_flags",
        "connection_security_policy",
        "version",
        "type",
    ];
    let kept = Profile::Core.labels_regex();
    let dropped = Profile::Core.dropped_labels().unwrap();
    let has = |list: &str, label: &str| list.split('|').any(|one| one == label);
    for label in needed {
        assert!(has(&kept, label) && !has(&dropped, label), "{label}");
    }
    // Kiali may tell the application of a pod by these.
    for label in ["app_kubernetes_io_name", "service_istio_io_canonical_name"] {
        assert!(!has(&dropped, label), "{label}");
    }
    assert!(kept.split('|').all(|label| !has(&dropped, label)));
    assert_eq!(Profile::Lean.dropped_labels(), Some(dropped));
    assert_eq!(Profile::Guide.dropped_labels(), None);
    assert_eq!(Profile::Guide.labels_regex(), ".+");
}

#[test]
fn an_interval_leaves_time_for_a_scrape() {
    for (text, timeout, idle) in [
        ("5s", 5, 15),
        ("10s", 10, 20),
        ("12s", 10, 22),
        ("15s", 12, 25),
        ("30s", 24, 40),
        ("31s", 25, 25),
        ("1m", 48, 25),
        ("5m", 240, 25),
    ] {
        let interval = text.parse::<Interval>().unwrap();
        assert_eq!(interval.timeout().as_secs(), timeout, "{text}");
        assert_eq!(interval.idle().as_secs(), idle, "{text}");
    }
    assert_eq!(Interval::default(), "15s".parse().unwrap());
    assert_eq!("1m".parse::<Interval>().unwrap().to_string(), "60s");
    for bad in [
        "", "4s", "301s", "6m", "15", "1.5s", "-15s", "default", "15s\n",
    ] {
        assert!(bad.parse::<Interval>().is_err(), "{bad}");
    }
}

#[test]
fn options_are_validated_as_a_record_has_them() {
    for (name, value, good) in [
        (METRICS, "lean", true),
        (METRICS, "guide", true),
        (METRICS, "all", false),
        (METRICS, "default", false),
        (SCRAPE_INTERVAL, "30s", true),
        (SCRAPE_INTERVAL, "1s", false),
    ] {
        assert_eq!(known(name, value).map(|k| k.is_ok()), Some(good), "{value}");
    }
    assert_eq!(known("registry", "lean"), None);
    let options = [(METRICS, "lean"), (SCRAPE_INTERVAL, "60s")];
    let options = options.map(|(name, value)| (name.to_string(), value.to_string()));
    let metrics = Metrics::of(&options.into());
    assert_eq!(metrics.profile, Profile::Lean);
    assert_eq!(metrics.interval.to_string(), "60s");
}
