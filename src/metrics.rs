//! Which series the federating Prometheus pulls from each cluster, and how often: the series that Kiali reads, by
//! name, and never the result of a recording rule, because a sum of counters is wrong once one of them restarts.

mod limits;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::age;

pub use limits::{Limits, max_memory, max_series};

/// Names of the options.
pub const METRICS: &str = "metrics";
pub const SCRAPE_INTERVAL: &str = "scrape-interval";
pub const MAX_SERIES: &str = "max-series";
pub const MAX_MEMORY: &str = "max-memory";

/// The counters of the traffic: the graph and the rates of requests, messages, bytes and connections.
const TRAFFIC: [&str; 8] = [
    "istio_requests_total",
    "istio_request_messages_total",
    "istio_response_messages_total",
    "istio_tcp_received_bytes_total",
    "istio_tcp_sent_bytes_total",
    "istio_tcp_connections_opened_total",
    "istio_tcp_connections_closed_total",
    // Kiali does not read it, but `verify` does: a failed connection shows nowhere else.
    "istio_tcp_connections_failed_total",
];
/// The parts of the histograms for averages.
const AVERAGES: [&str; 6] = [
    "istio_request_duration_milliseconds_sum",
    "istio_request_duration_milliseconds_count",
    "istio_request_bytes_sum",
    "istio_request_bytes_count",
    "istio_response_bytes_sum",
    "istio_response_bytes_count",
];
/// The part of a histogram for percentiles.
const BUCKETS: [&str; 1] = ["istio_request_duration_milliseconds_bucket"];
/// The mesh page, and the pages of istiod, ztunnel and Envoy.
const CONTROL_PLANE: [&str; 17] = [
    "istio_build",
    "pilot_info",
    "pilot_proxy_convergence_time_sum",
    "pilot_proxy_convergence_time_count",
    "pilot_services",
    "pilot_xds",
    "pilot_xds_pushes",
    "workload_manager_active_proxy_count",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "envoy_cluster_upstream_cx_active",
    "envoy_cluster_upstream_rq_total",
    "envoy_listener_downstream_cx_active",
    "envoy_listener_http_downstream_rq",
    "envoy_server_memory_allocated",
    "envoy_server_memory_heap_size",
    "envoy_server_uptime",
];
/// Every scraped series has an instance; one that a rule summed up under the same name has none.
const SCRAPED: &str = r#"instance!="""#;
/// A Prometheus that watches containers has these for every container of its cluster. Kiali reads those of ztunnel.
const CONTAINERS: &str = r#"{__name__=~"container_cpu_usage_seconds_total|container_memory_working_set_bytes",namespace="istio-system",instance!=""}"#;
/// The guide's selector: all that the mesh's pods and all other annotated pods expose.
const GUIDE: &str = r#"{job="kubernetes-pods"}"#;

/// Labels that tell series apart, or that Kiali reads. The app and version of a workload follow from its name.
const KEPT: [&str; 45] = [
    "__name__",
    "le",
    "cluster",
    "namespace",
    "pod",
    "container",
    "instance",
    "job",
    "app",
    "id",
    "reporter",
    "source_cluster",
    "destination_cluster",
    "source_workload",
    "destination_workload",
    "source_workload_namespace",
    "destination_workload_namespace",
    "source_principal",
    "destination_principal",
    "source_canonical_service",
    "destination_canonical_service",
    "source_canonical_revision",
    "destination_canonical_revision",
    "source_region",
    "destination_region",
    "source_zone",
    "destination_zone",
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "request_protocol",
    "response_code",
    "grpc_response_status",
    "response_flags",
    "connection_security_policy",
    "component",
    "tag",
    "version",
    "type",
    "cluster_name",
    "listener_address",
    "http_conn_manager_prefix",
    "http_conn_manager_listener_prefix",
    "tcp_prefix",
    "response_code_class",
];
/// Labels of pods that Kiali does not read. A pod has one value of each, so its series stay apart without them. Words
/// that a mesh may use for tags of its own, such as `release`, are not among them.
const DROPPED: [&str; 21] = [
    "apps_kubernetes_io_pod_index",
    "app_kubernetes_io_component",
    "app_kubernetes_io_instance",
    "app_kubernetes_io_managed_by",
    "app_kubernetes_io_part_of",
    "controller_revision_hash",
    "gateway_istio_io_managed",
    "gateway_networking_k8s_io_gateway_class_name",
    "helm_sh_chart",
    "install_operator_istio_io_owning_resource",
    "install_operator_istio_io_owning_resource_namespace",
    "istio_io_dataplane_mode",
    "istio_io_rev",
    "operator_istio_io_component",
    "operator_istio_io_managed",
    "operator_istio_io_version",
    "pod_template_generation",
    "pod_template_hash",
    "security_istio_io_tlsMode",
    "sidecar_istio_io_inject",
    "statefulset_kubernetes_io_pod_name",
];

/// A choice of series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// What Kiali reads, with percentiles of durations.
    #[default]
    Core,
    /// The same without percentiles.
    Lean,
    /// The guide's selection: every series of job kubernetes-pods.
    Guide,
}

impl Profile {
    pub const ALL: [Profile; 3] = [Profile::Core, Profile::Lean, Profile::Guide];

    pub fn name(self) -> &'static str {
        match self {
            Profile::Core => "core",
            Profile::Lean => "lean",
            Profile::Guide => "guide",
        }
    }

    /// The selectors of the federation (`match[]`). Their order never changes.
    pub fn selectors(self) -> Vec<String> {
        let by_name = |names: &[&str]| format!("{{__name__=~\"{}\",{SCRAPED}}}", names.join("|"));
        let averages = [
            by_name(&TRAFFIC),
            by_name(&AVERAGES),
            by_name(&CONTROL_PLANE),
            CONTAINERS.into(),
        ];
        match self {
            Profile::Core => averages.into_iter().chain([by_name(&BUCKETS)]).collect(),
            Profile::Lean => averages.into(),
            Profile::Guide => vec![GUIDE.into()],
        }
    }

    /// The same, but only series that match another selector, such as `{job="mesh"}`. It takes the place of the guide's.
    pub fn selectors_within(self, selector: &str) -> Vec<String> {
        let matchers = selector.trim_start_matches('{').trim_end_matches('}');
        let within = |own: String| match own.strip_suffix('}') {
            Some(own) => format!("{own},{matchers}}}"),
            None => own,
        };
        match self {
            Profile::Core | Profile::Lean => self.selectors().into_iter().map(within).collect(),
            Profile::Guide => vec![selector.into()],
        }
    }

    /// The metrics by name, without those of containers, which no pod of the mesh exposes; None for all.
    pub fn names(self) -> Option<Vec<&'static str>> {
        let buckets = match self {
            Profile::Core => &BUCKETS[..],
            Profile::Lean => &[],
            Profile::Guide => return None,
        };
        Some([&TRAFFIC[..], &AVERAGES, buckets, &CONTROL_PLANE].concat())
    }

    /// The names of the metrics for a rule that keeps them. Prometheus anchors it.
    pub fn keep_regex(self) -> String {
        self.names().map_or(".+".into(), |names| names.join("|"))
    }

    /// The names of the labels for a rule that keeps them. Series of a mesh whose Telemetry adds tags of its own differ
    /// in more labels than these: there, only `dropped_labels` is safe.
    pub fn labels_regex(self) -> String {
        match self {
            Profile::Core | Profile::Lean => KEPT.join("|"),
            Profile::Guide => ".+".into(),
        }
    }

    /// The names of the labels that home drops after the transfer, to save its memory; None for none.
    pub fn dropped_labels(self) -> Option<String> {
        match self {
            Profile::Core | Profile::Lean => Some(DROPPED.join("|")),
            Profile::Guide => None,
        }
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Profile, String> {
        let found = Profile::ALL
            .into_iter()
            .find(|profile| profile.name() == text);
        found.ok_or_else(|| "use core, lean or guide".into())
    }
}

/// Time between two scrapes, both by the Prometheus in each cluster and by the federating one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(u64);

impl Default for Interval {
    fn default() -> Interval {
        Interval(15)
    }
}

impl Interval {
    const SHORTEST: u64 = 5;
    const LONGEST: u64 = 300;

    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// This number of intervals.
    pub fn times(self, count: u32) -> Duration {
        self.duration() * count
    }

    /// The longest time that a scrape may take: a fifth less than the interval, but at least 10 s if they fit.
    pub fn timeout(self) -> Duration {
        let fits = self.0.min(10);
        Duration::from_secs((self.0 - self.0 / 5).max(fits))
    }

    /// After how long an idle connection is closed. It is never about as long as the interval: a Gateway that uses a
    /// connection at the moment when it is closed answers 503.
    pub fn idle(self) -> Duration {
        Duration::from_secs(match self.0 {
            ..=30 => self.0 + 10,
            _ => 25,
        })
    }
}

/// As Prometheus and a flag take it.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Interval, String> {
        let seconds = age::parse(text)?.as_secs();
        match (Interval::SHORTEST..=Interval::LONGEST).contains(&seconds) {
            true => Ok(Interval(seconds)),
            false => Err(format!("\"{text}\" is not between 5s and 5m")),
        }
    }
}

/// What is pulled, how often, and how much of it at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    pub profile: Profile,
    pub interval: Interval,
    pub limits: Limits,
}

impl Metrics {
    pub fn of(options: &BTreeMap<String, String>) -> Metrics {
        let get = |name| options.get(name).map(String::as_str);
        Metrics {
            profile: get(METRICS)
                .and_then(|p| p.parse().ok())
                .unwrap_or_default(),
            interval: get(SCRAPE_INTERVAL)
                .and_then(|i| i.parse().ok())
                .unwrap_or_default(),
            limits: Limits::of(options),
        }
    }
}

/// Validates the value of an option; None for the name of another one.
pub fn known(name: &str, value: &str) -> Option<Result<(), String>> {
    match name {
        METRICS => Some(value.parse::<Profile>().map(drop)),
        SCRAPE_INTERVAL => Some(value.parse::<Interval>().map(drop)),
        MAX_SERIES => Some(max_series(value).map(drop)),
        MAX_MEMORY => Some(max_memory(value).map(drop)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
