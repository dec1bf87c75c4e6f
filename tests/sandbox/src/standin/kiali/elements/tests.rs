use serde_json::json;

use super::*;

const QUERY: Query = Query {
    metric: "istio_tcp_received_bytes_total",
    protocol: "tcp",
    promql: String::new(),
};

/// Returns the labels with which the ztunnels of two clusters report a connection of `curl`.
fn series(from: (&str, &str), to: (&str, &str), flags: &str) -> Value {
    let end = |side: &str, (cluster, workload): (&str, &str)| {
        let namespace = match workload {
            "unknown" => "unknown",
            _ => "sample",
        };
        [
            (format!("{side}_cluster"), cluster.to_owned()),
            (format!("{side}_workload"), workload.to_owned()),
            (format!("{side}_workload_namespace"), namespace.to_owned()),
            (format!("{side}_canonical_service"), workload.to_owned()),
            (format!("{side}_canonical_revision"), "v".to_owned()),
        ]
    };
    let service = [
        ("destination_service", "helloworld.sample.svc.cluster.local"),
        ("destination_service_namespace", "sample"),
        ("destination_service_name", "helloworld"),
        ("response_flags", flags),
        ("connection_security_policy", "mutual_tls"),
    ];
    let service = service.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let ends = end("source", from)
        .into_iter()
        .chain(end("destination", to));
    let labels = ends.chain(service);
    Value::Object(labels.map(|(name, value)| (name, json!(value))).collect())
}

/// Returns the edges with their rate, and the clusters and kinds of their ends.
fn edges(all: &[Value]) -> Vec<String> {
    let known = ["cluster1", "cluster2"].map(|cluster| (cluster.into(), "sample".into()));
    let known = BTreeSet::from(known);
    let mut graph = Graph::default();
    for labels in all {
        let added = graph.add(&QUERY, labels, 10.0, true, &known);
        added.expect("a series with all labels");
    }
    let end = |id: &String| {
        let node = &graph.nodes[id];
        let text = |name: &str| node[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", text("cluster"), text("nodeType"))
    };
    let shown = graph.edges.values().map(|edge| {
        format!(
            "{} -> {}: {}",
            end(&edge.source),
            end(&edge.target),
            edge.rate
        )
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    shown
}

const CURL: (&str, &str) = ("cluster1", "curl");
const HELLO: (&str, &str) = ("cluster2", "helloworld-v2");

#[test]
fn what_both_ends_report_alike_is_one_edge() {
    let both = [series(CURL, HELLO, "-"), series(CURL, HELLO, "-")];
    let one = [
        "cluster1 workload -> cluster2 service: 10",
        "cluster2 service -> cluster2 workload: 10",
    ];
    assert_eq!(edges(&both), one);
}

#[test]
fn an_end_that_nobody_named_makes_edges_that_are_not_there() {
    let unknown = ("unknown", "unknown");
    let reported = [series(CURL, unknown, "-"), series(unknown, HELLO, "-")];
    let wrong = [
        "cluster1 workload -> cluster1 service: 10",
        "cluster2 service -> cluster2 workload: 10",
        "unknown unknown -> cluster2 service: 10",
    ];
    assert_eq!(edges(&reported), wrong);
    let gateway = [series(CURL, ("Kubernetes", "unknown"), "-")];
    assert_eq!(
        edges(&gateway),
        ["cluster1 workload -> Kubernetes service: 10"]
    );
}
