//! The metrics pages of a cluster's mesh, over HTTP: in number and length, its series are like those of real ztunnels
//! and waypoints, and like what istiod, Envoy and applications add.
//!
//! What it cannot show: values that matter, errors, connections that come and go, and how a real mesh spreads its
//! traffic. Each workload is called by five others at most, each edge is busy in both of its response codes, and the
//! numbers of series of istiod, Envoy and applications are round figures.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// Callers of a workload, nodes on which it runs, replicas of a waypoint and response codes of an edge.
const CALLERS: usize = 5;
const SPREAD: usize = 3;
const REPLICAS: usize = 2;
const CODES: [&str; 2] = ["200", "503"];
/// Workloads in a namespace, which has a waypoint, and on a node.
const TOGETHER: usize = 10;
/// Series of istiod, of Envoy in a waypoint, and of a pod of every third workload, which exposes metrics of its own.
const ISTIOD: usize = 900;
const ENVOY: usize = 180;
const APPLICATION: usize = 120;

/// The rates of an edge, over all pods: each series grows by a thousand a second.
pub const CONNECTION: f64 = 1000.0 * 2.0 * SPREAD as f64;
pub const REQUESTS: f64 = 1000.0 * (REPLICAS * CODES.len()) as f64;

const BYTES: [&str; 4] = [
    "istio_tcp_connections_opened_total",
    "istio_tcp_connections_closed_total",
    "istio_tcp_received_bytes_total",
    "istio_tcp_sent_bytes_total",
];
const HISTOGRAMS: [&str; 3] = [
    "istio_request_duration_milliseconds",
    "istio_request_bytes",
    "istio_response_bytes",
];
/// The bounds of Envoy's histograms.
const BOUNDS: [&str; 20] = [
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000",
    "30000", "60000", "300000", "600000", "1800000", "3600000", "+Inf",
];
const OF_ISTIOD: [&str; 9] = [
    "pilot_info",
    "pilot_proxy_convergence_time_sum",
    "pilot_proxy_convergence_time_count",
    "pilot_services",
    "pilot_xds",
    "pilot_xds_pushes",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "istio_build",
];
const OF_ZTUNNEL: [&str; 4] = [
    "istio_build",
    "workload_manager_active_proxy_count",
    "process_open_fds",
    "process_max_fds",
];
const OF_ENVOY: [&str; 8] = [
    "istio_build",
    "envoy_cluster_upstream_cx_active",
    "envoy_cluster_upstream_rq_total",
    "envoy_listener_downstream_cx_active",
    "envoy_listener_http_downstream_rq",
    "envoy_server_memory_allocated",
    "envoy_server_memory_heap_size",
    "envoy_server_uptime",
];
const OF_APPLICATION: [&str; 2] = ["process_cpu_seconds_total", "process_resident_memory_bytes"];

/// Series that share their labels.
struct Block {
    labels: String,
    names: Names,
}

enum Names {
    /// The four counters of a connection.
    Connection,
    /// The counter and the three histograms of requests.
    Requests,
    Each(&'static [&'static str]),
    /// Series that Kiali does not read.
    Others(&'static str, usize),
}

struct Pod {
    namespace: String,
    name: String,
    node: usize,
    labels: Vec<(&'static str, String)>,
    blocks: Vec<Block>,
    /// When it started, in milliseconds since the mesh did.
    started: AtomicU64,
}

pub struct Mesh {
    pods: Vec<Pod>,
    begin: Instant,
    pub edges: usize,
}

/// The pages of a mesh, until it is dropped.
pub struct Served {
    pub mesh: Arc<Mesh>,
    address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

fn end(side: &str, workload: usize) -> String {
    let namespace = format!("team-{:02}", workload / TOGETHER);
    let name = format!("service-{workload:03}");
    format!(
        "{side}_workload=\"{name}-v1\",{side}_canonical_service=\"{name}\",{side}_canonical_revision=\"v1\",\
         {side}_workload_namespace=\"{namespace}\",{side}_principal=\"spiffe://cluster.local/ns/{namespace}/sa/{name}\",\
         {side}_app=\"{name}\",{side}_version=\"v1\",{side}_cluster=\"edge\""
    )
}

fn service(workload: usize) -> String {
    let namespace = format!("team-{:02}", workload / TOGETHER);
    let name = format!("service-{workload:03}");
    format!(
        "destination_service=\"{name}.{namespace}.svc.cluster.local\",destination_service_name=\"{name}\",\
         destination_service_namespace=\"{namespace}\""
    )
}

fn connection(reporter: &str, from: usize, to: usize) -> Block {
    let places = "source_region=\"region-1\",source_zone=\"region-1-a\",destination_region=\"region-1\",destination_zone=\"region-1-b\"";
    Block {
        labels: format!(
            "reporter=\"{reporter}\",{},{},{},request_protocol=\"tcp\",response_flags=\"-\",\
             connection_security_policy=\"mutual_tls\",{places}",
            end("source", from),
            end("destination", to),
            service(to)
        ),
        names: Names::Connection,
    }
}

fn requests(from: usize, to: usize, code: &str) -> Block {
    let flags = if code == "503" { "UH" } else { "-" };
    Block {
        labels: format!(
            "reporter=\"waypoint\",{},{},{},request_protocol=\"http\",response_code=\"{code}\",\
             grpc_response_status=\"\",response_flags=\"{flags}\",connection_security_policy=\"mutual_tls\"",
            end("source", from),
            end("destination", to),
            service(to)
        ),
        names: Names::Requests,
    }
}

fn each(names: &'static [&'static str]) -> Block {
    Block {
        labels: "component=\"mesh\",tag=\"1.31.1\"".into(),
        names: Names::Each(names),
    }
}

fn others(prefix: &'static str, count: usize) -> Block {
    Block {
        labels: String::new(),
        names: Names::Others(prefix, count),
    }
}

impl Pod {
    fn new(place: (&str, usize), name: String, blocks: Vec<Block>) -> Pod {
        let (namespace, node) = place;
        Pod {
            namespace: namespace.into(),
            name,
            node,
            labels: Vec::new(),
            blocks,
            started: AtomicU64::new(0),
        }
    }

    fn labelled(mut self, labels: &[(&'static str, &str)]) -> Pod {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).into()));
        self.labels = labels.collect();
        self
    }

    fn page(&self, begin: Instant) -> String {
        let now = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        // A thousand for each second of its life.
        let value = now.saturating_sub(self.started.load(Ordering::Relaxed));
        let mut page = String::new();
        for block in &self.blocks {
            block.write(&mut page, value);
        }
        page
    }
}

impl Block {
    fn write(&self, page: &mut String, value: u64) {
        match self.names {
            Names::Connection => self.each(page, &BYTES, value),
            Names::Each(names) => self.each(page, names, value),
            Names::Requests => self.requests(page, value),
            Names::Others(prefix, count) => {
                for number in 0..count {
                    let family = number / 8;
                    let _ = writeln!(
                        page,
                        "{prefix}_family_{family}_total{{kind=\"kind-{number}\",result=\"success\"}} {value}"
                    );
                }
            }
        }
    }

    fn each(&self, page: &mut String, names: &[&str], value: u64) {
        for name in names {
            let _ = writeln!(page, "{name}{{{}}} {value}", self.labels);
        }
    }

    fn requests(&self, page: &mut String, value: u64) {
        let labels = &self.labels;
        self.each(page, &["istio_requests_total"], value);
        for name in HISTOGRAMS {
            for (below, bound) in BOUNDS.iter().enumerate() {
                let count = value * (below as u64 + 1) / BOUNDS.len() as u64;
                let _ = writeln!(page, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(page, "{name}_sum{{{labels}}} {value}");
            let _ = writeln!(page, "{name}_count{{{labels}}} {value}");
        }
    }
}

impl Mesh {
    /// A cluster with so many workloads.
    pub fn of(workloads: usize) -> Mesh {
        let nodes = (workloads / TOGETHER).max(SPREAD);
        let on = |workload: usize| (0..SPREAD).map(move |replica| (workload + replica) % nodes);
        let mut tunnels = (0..nodes).map(|_| vec![each(&OF_ZTUNNEL)]);
        let mut tunnels = tunnels.by_ref().collect::<Vec<_>>();
        let teams = workloads.div_ceil(TOGETHER);
        let mut waypoints = (0..teams).map(|_| Vec::new()).collect::<Vec<_>>();
        let mut edges = 0;
        for to in 0..workloads {
            // The first workloads have fewer callers: nobody is called by itself, or in a circle.
            for from in to.saturating_sub(CALLERS)..to {
                edges += 1;
                on(from).for_each(|node| tunnels[node].push(connection("source", from, to)));
                on(to).for_each(|node| tunnels[node].push(connection("destination", from, to)));
                waypoints[to / TOGETHER].extend(CODES.map(|code| (from, to, code)));
            }
        }
        let tunnels = tunnels.into_iter().enumerate().map(ztunnel);
        let istiod = [each(&OF_ISTIOD), others("pilot_other", ISTIOD)];
        let istiod =
            Pod::new(("istio-system", 0), "istiod-7d9f8".into(), istiod.into()).labelled(&[
                ("app", "istiod"),
                ("app_kubernetes_io_managed_by", "Helm"),
                ("helm_sh_chart", "istiod-1.31.1"),
                ("istio_io_rev", "default"),
                ("pod_template_hash", "7d9f8"),
                ("sidecar_istio_io_inject", "false"),
            ]);
        let waypoints = waypoints.iter().enumerate().flat_map(waypoint);
        let applications = (0..workloads).step_by(3).flat_map(|workload| {
            on(workload)
                .enumerate()
                .map(move |(replica, node)| application(workload, replica, node))
        });
        let pods = tunnels.chain([istiod]).chain(waypoints).chain(applications);
        Mesh {
            pods: pods.collect(),
            begin: Instant::now(),
            edges,
        }
    }

    /// A ztunnel on each of so many nodes, which all report the same edge.
    pub fn of_one_edge(nodes: usize) -> Mesh {
        let tunnel = |node| ztunnel((node, vec![connection("source", 0, 1)]));
        Mesh {
            pods: (0..nodes).map(tunnel).collect(),
            begin: Instant::now(),
            edges: 1,
        }
    }

    /// The counters of a pod begin at zero again.
    pub fn restart(&self, pod: usize) {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.pods[pod].started.store(now, Ordering::Relaxed);
    }

    pub async fn serve(self) -> Result<Served> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mesh = Arc::new(self);
        let router = Router::new()
            .route("/pods/{number}", get(page))
            .with_state(mesh.clone());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Served {
            mesh,
            address,
            _server: AbortOnDropHandle::new(server),
        })
    }
}

async fn page(State(mesh): State<Arc<Mesh>>, Path(number): Path<usize>) -> String {
    let pod = mesh.pods.get(number);
    pod.map(|pod| pod.page(mesh.begin)).unwrap_or_default()
}

fn ztunnel((node, blocks): (usize, Vec<Block>)) -> Pod {
    Pod::new(("istio-system", node), format!("ztunnel-{node:05}"), blocks).labelled(&[
        ("app", "ztunnel"),
        ("app_kubernetes_io_instance", "istio"),
        ("app_kubernetes_io_managed_by", "Helm"),
        ("app_kubernetes_io_name", "ztunnel"),
        ("app_kubernetes_io_part_of", "istio"),
        ("controller_revision_hash", "6c8d9f5b7"),
        ("helm_sh_chart", "ztunnel-1.31.1"),
        ("istio_io_dataplane_mode", "none"),
        ("istio_io_rev", "default"),
        ("pod_template_generation", "1"),
        ("sidecar_istio_io_inject", "false"),
    ])
}

type Called = (usize, usize, &'static str);

fn waypoint((team, called): (usize, &Vec<Called>)) -> impl Iterator<Item = Pod> {
    (0..REPLICAS).map(move |replica| {
        let traffic = called
            .iter()
            .map(|(from, to, code)| requests(*from, *to, code));
        let own = [each(&OF_ENVOY), others("envoy_other", ENVOY)];
        let namespace = format!("team-{team:02}");
        let name = format!("waypoint-5f6b7-{replica:05}");
        Pod::new((&namespace, replica), name, traffic.chain(own).collect()).labelled(&[
            ("gateway_istio_io_managed", "istio.io-mesh-controller"),
            (
                "gateway_networking_k8s_io_gateway_class_name",
                "istio-waypoint",
            ),
            ("gateway_networking_k8s_io_gateway_name", "waypoint"),
            ("istio_io_dataplane_mode", "none"),
            ("istio_io_rev", "default"),
            ("pod_template_hash", "5f6b7"),
            ("service_istio_io_canonical_name", "waypoint"),
            ("service_istio_io_canonical_revision", "latest"),
            ("sidecar_istio_io_inject", "false"),
        ])
    })
}

fn application(workload: usize, replica: usize, node: usize) -> Pod {
    let (namespace, service) = (
        format!("team-{:02}", workload / TOGETHER),
        format!("service-{workload:03}"),
    );
    let blocks = vec![each(&OF_APPLICATION), others("http_server", APPLICATION)];
    let name = format!("{service}-v1-8c9d7-{replica:05}");
    Pod::new((&namespace, node), name, blocks).labelled(&[
        ("app", &service),
        ("app_kubernetes_io_name", &service),
        ("pod_template_hash", "8c9d7"),
        ("version", "v1"),
    ])
}

impl Served {
    /// The pods as a discovery by Kubernetes finds them, and all at one address, which no label shows.
    pub fn discovered(&self) -> Value {
        let pods = self.mesh.pods.iter().enumerate().map(|(number, pod)| {
            let mut labels = json!({
                "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "true",
                "__meta_kubernetes_pod_annotation_prometheus_io_path": format!("/pods/{number}"),
                "__meta_kubernetes_namespace": pod.namespace,
                "__meta_kubernetes_pod_name": pod.name,
                "__meta_kubernetes_pod_node_name": format!("node-{:03}.region-1.internal", pod.node),
                "instance": format!("10.244.{}.{}:15020", number / 250, number % 250 + 1),
            });
            for (name, value) in &pod.labels {
                labels[format!("__meta_kubernetes_pod_label_{name}")] = json!(value);
            }
            json!({"targets": [self.address.to_string()], "labels": labels})
        });
        pods.collect()
    }

    pub fn pods(&self) -> usize {
        self.mesh.pods.len()
    }
}
