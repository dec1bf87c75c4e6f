//! ztunnel's metrics and readiness, without its data plane.
//!
//! What it cannot show: redirected traffic, mTLS, real byte counts. The counters are those of
//! `sample`, and only of pods whose namespace is in the ambient mesh would a real one have any.

use std::fmt::Write;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;

use super::container::Container;
use super::sample::{Counters, Edge, Reporter};

const STATS: u16 = 15020;
const READY: u16 = 15021;

/// Works until it exits with a code or is dropped.
pub async fn run(container: Container) -> i32 {
    let own = container.clone();
    let metrics = Router::new().route("/metrics", get(move || std::future::ready(page(&own))));
    let readiness = Router::new().route("/healthz/ready", get(|| std::future::ready("ready\n")));
    let served = tokio::try_join!(
        serve(&container, STATS, metrics),
        serve(&container, READY, readiness),
    );
    container.log(format!("{served:?}"));
    1
}

async fn serve(container: &Container, port: u16, router: Router) -> std::io::Result<()> {
    let listener = TcpListener::bind((container.ip, port)).await?;
    container.log(format!(
        "listener established address={}:{port}",
        container.ip
    ));
    axum::serve(listener, router).await
}

fn page(container: &Container) -> String {
    let image = container.spec.image.as_deref().unwrap_or_default();
    let tag = image.rsplit(':').next().unwrap_or_default();
    let reported = container
        .world
        .traffic
        .reported_in(container.cluster.name());
    render(tag, &reported)
}

/// Name, help and value of one kind of counter.
type Family = (&'static str, &'static str, fn(&Counters) -> u64);

fn render(tag: &str, reported: &[(Edge, Counters)]) -> String {
    let mut page = format!(
        "# HELP istio_build Istio component build info.\n# TYPE istio_build gauge\n\
         istio_build{{component=\"ztunnel\",tag=\"{tag}\"}} 1\n"
    );
    let families: [Family; 4] = [
        (
            "connections_opened",
            "The total number of TCP connections opened",
            |c| c.connections,
        ),
        (
            "connections_closed",
            "The total number of TCP connections closed",
            |c| c.connections,
        ),
        (
            "received_bytes",
            "The size of total bytes received during request in case of a TCP connection",
            |c| c.received,
        ),
        (
            "sent_bytes",
            "The size of total bytes sent during response in case of a TCP connection",
            |c| c.sent,
        ),
    ];
    for (name, help, value) in families {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "# HELP istio_tcp_{name}_total {help}.\n# TYPE istio_tcp_{name}_total counter"
        );
        for (edge, counters) in reported {
            let _ = writeln!(
                page,
                "istio_tcp_{name}_total{{{}}} {}",
                labels(edge),
                value(counters)
            );
        }
    }
    page
}

fn labels(edge: &Edge) -> String {
    let reporter = match edge.reporter {
        Reporter::Source => "source",
        Reporter::Destination => "destination",
    };
    let workload = format!("helloworld-{}", edge.version);
    let pairs = [
        ("reporter", reporter),
        ("source_workload", "curl"),
        ("source_canonical_service", "curl"),
        ("source_canonical_revision", "latest"),
        ("source_workload_namespace", "sample"),
        (
            "source_principal",
            "spiffe://cluster.local/ns/sample/sa/curl",
        ),
        ("source_app", "curl"),
        ("source_version", "latest"),
        ("source_cluster", &edge.source_cluster),
        ("destination_service", "helloworld.sample.svc.cluster.local"),
        ("destination_service_namespace", "sample"),
        ("destination_service_name", "helloworld"),
        ("destination_workload", &workload),
        ("destination_canonical_service", "helloworld"),
        ("destination_canonical_revision", &edge.version),
        ("destination_workload_namespace", "sample"),
        (
            "destination_principal",
            "spiffe://cluster.local/ns/sample/sa/default",
        ),
        ("destination_app", "helloworld"),
        ("destination_version", &edge.version),
        ("destination_cluster", &edge.destination_cluster),
        ("request_protocol", "tcp"),
        ("response_flags", "-"),
        ("connection_security_policy", "mutual_tls"),
    ];
    let quoted: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    quoted.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics() {
        let edge = Edge {
            reporter: Reporter::Destination,
            source_cluster: "cluster1".into(),
            destination_cluster: "cluster2".into(),
            version: "v2".into(),
        };
        let counters = Counters {
            connections: 3,
            received: 252,
            sent: 600,
        };
        let page = render("1.30", &[(edge, counters)]);
        let line = |name: &str| {
            let start = format!("istio_tcp_{name}_total{{");
            page.lines()
                .find(|line| line.starts_with(&start))
                .unwrap_or_default()
                .to_owned()
        };
        let received = line("received_bytes");
        assert!(received.ends_with("} 252"), "{received}");
        for label in [
            "reporter=\"destination\"",
            "source_cluster=\"cluster1\"",
            "destination_workload=\"helloworld-v2\"",
            "response_flags=\"-\"",
        ] {
            assert!(received.contains(label), "{label} in {received}");
        }
        assert!(line("connections_opened").ends_with("} 3"));
        assert!(page.ends_with('\n'));
    }
}
