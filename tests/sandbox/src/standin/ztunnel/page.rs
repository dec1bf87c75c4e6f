//! The metrics page. It is always in the OpenMetrics format, whatever its content type: the metadata has names without
//! `_total`, and the page ends with an EOF marker.

use std::fmt::{Display, Write};

use super::labels::{Edge, Flags, Reporter};
use super::telemetry::{Counters, Ztunnel};

/// The parts of the page that are not about connections.
pub struct Process {
    pub tag: String,
    /// The pods of the mesh on its node.
    pub proxies: u64,
    pub open_fds: u64,
    pub max_fds: u64,
    pub runtime: Runtime,
}

/// Metrics of tokio.
pub struct Runtime {
    pub queue: usize,
    pub tasks: usize,
    pub workers: Vec<Worker>,
}

pub struct Worker {
    pub busy: f64,
    pub parks: u64,
    pub parks_and_unparks: u64,
}

struct Page(String);

impl Page {
    /// Writes a metric with its metadata. Writes nothing if it has no series yet.
    fn family<L: Display, V: Display>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        rows: impl IntoIterator<Item = (L, V)>,
    ) {
        let suffix = if kind == "counter" { "_total" } else { "" };
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}");
        for (labels, value) in rows {
            let labels = labels.to_string();
            let _ = match labels.as_str() {
                "" => writeln!(self.0, "{name}{suffix} {value}"),
                labels => writeln!(self.0, "{name}{suffix}{{{labels}}} {value}"),
            };
        }
    }

    fn one(&mut self, described: (&str, &str, &str), value: impl Display) {
        self.family(described, [("", value)]);
    }
}

pub fn render(ztunnel: &Ztunnel, process: &Process) -> String {
    let mut page = Page(String::new());
    let build = format!("component=\"ztunnel\",tag=\"{}\"", process.tag);
    page.family(
        ("istio_build", "gauge", "Istio component build info"),
        [(build, 1)],
    );
    connections(&mut page, ztunnel);
    names(&mut page, ztunnel);
    control_plane(&mut page, process);
    of_process(&mut page, process, ztunnel.is_new());
    page.0.push_str("# EOF\n");
    page.0
}

/// A counter of a connection.
type Part = fn(&Edge, &Counters) -> Option<u64>;

fn connections(page: &mut Page, ztunnel: &Ztunnel) {
    let counts = ztunnel.counts();
    // Opened connections and bytes are counted without response flags, closed connections with theirs.
    let parts: [(&str, &str, Part); 5] = [
        (
            "connections_opened",
            "The total number of TCP connections opened",
            |edge, c| (edge.flags == Flags::None).then_some(c.opened),
        ),
        (
            "connections_closed",
            "The total number of TCP connections closed",
            |_, c| (c.closed > 0).then_some(c.closed),
        ),
        (
            "received_bytes",
            "The size of total bytes received during request in case of a TCP connection",
            |edge, c| (edge.flags == Flags::None).then_some(c.received),
        ),
        (
            "sent_bytes",
            "The size of total bytes sent during response in case of a TCP connection",
            |edge, c| (edge.flags == Flags::None).then_some(c.sent),
        ),
        (
            "connections_failed",
            "The total number of TCP connections that failed to establish (unstable)",
            |_, c| (c.failed > 0).then_some(c.failed),
        ),
    ];
    let told = if ztunnel.is_new() { 5 } else { 4 };
    for (name, help, part) in &parts[..told] {
        let rows = counts.edges.iter();
        let rows = rows.filter_map(|(edge, counters)| Some((edge, part(edge, counters)?)));
        page.family((&format!("istio_tcp_{name}"), "counter", help), rows);
    }
    if ztunnel.is_new() {
        let of = |reporter: Reporter, open: u64| (format!("reporter=\"{reporter}\""), open);
        let source = counts.sending.map(|open| of(Reporter::Source, open));
        let destination = counts
            .receiving()
            .map(|open| of(Reporter::Destination, open as u64));
        let help = "The current number of open TCP sockets (unstable)";
        let rows = source.into_iter().chain(destination);
        page.family(("istio_tcp_sockets_open", "gauge", help), rows);
    }
}

fn names(page: &mut Page, ztunnel: &Ztunnel) {
    let asked = ztunnel.counts().names.clone();
    let rows = asked.iter().flat_map(|(service, asked)| {
        ["a", "aaaa"].map(|kind| {
            let source = format!(
                "source_canonical_service=\"{service}\",source_canonical_revision=\"latest\""
            );
            let labels = format!("request_query_type=\"{kind}\",request_protocol=\"udp\",{source}");
            (labels, *asked)
        })
    });
    let help = "Total number of DNS requests (unstable)";
    page.family(("istio_dns_requests", "counter", help), rows);
}

/// istiod sent everything once, and all pods started and are still running.
fn control_plane(page: &mut Page, process: &Process) {
    let url = |kind: &str| format!("url=\"type.googleapis.com/istio.{kind}\"");
    let kinds = ["workload.Address", "security.Authorization"].map(url);
    let help = "Total number of messages received (unstable)";
    let messages = kinds.iter().map(|labels| (labels, 1));
    page.family(("istio_xds_message", "counter", help), messages);
    let help = "Total number of bytes received (unstable)";
    let bytes = kinds.iter().map(|labels| (labels, 2048));
    page.family(("istio_xds_message_bytes", "counter", help), bytes);
    let manager = |name: &str| format!("workload_manager_{name}");
    for (name, kind, help, value) in [
        (
            "active_proxy_count",
            "gauge",
            "The total number current workloads with active proxies (unstable)",
            process.proxies,
        ),
        (
            "pending_proxy_count",
            "gauge",
            "The total number current workloads with pending proxies (unstable)",
            0,
        ),
        (
            "proxies_started",
            "counter",
            "The total number of proxies that were started (unstable)",
            process.proxies,
        ),
        (
            "proxies_stopped",
            "counter",
            "The total number of proxies that were stopped (unstable)",
            0,
        ),
    ] {
        page.one((&manager(name), kind, help), value);
    }
}

fn of_process(page: &mut Page, process: &Process, is_new: bool) {
    let help = "Number of open file descriptors";
    page.one(("process_open_fds", "gauge", help), process.open_fds);
    let help = "Maximum number of open file descriptors";
    page.one(("process_max_fds", "gauge", help), process.max_fds);
    // Added in 1.31. The versions in between are not simulated.
    if !is_new {
        return;
    }
    let runtime = &process.runtime;
    for (name, help, value) in [
        (
            "num_workers",
            "Number of worker threads",
            runtime.workers.len(),
        ),
        (
            "global_queue_depth",
            "Depth of the global queue",
            runtime.queue,
        ),
        ("num_alive_tasks", "Number of alive tasks", runtime.tasks),
    ] {
        page.one((&format!("tokio_{name}"), "gauge", help), value);
    }
    type OfWorker = fn(&Worker) -> f64;
    let parts: [(&str, &str, OfWorker); 3] = [
        (
            "total_busy_duration_seconds",
            "Time the worker was busy",
            |w| w.busy,
        ),
        ("park_count", "Times the worker parked", |w| w.parks as f64),
        (
            "park_unpark_count",
            "Times the worker parked and unparked",
            |w| w.parks_and_unparks as f64,
        ),
    ];
    for (name, help, part) in parts {
        let workers = runtime.workers.iter().enumerate();
        let rows = workers.map(|(i, worker)| (format!("worker=\"{i}\""), part(worker)));
        page.family((&format!("tokio_worker_{name}"), "counter", help), rows);
    }
}
