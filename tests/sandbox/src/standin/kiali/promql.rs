//! The queries of the traffic graph.

use std::collections::HashMap;

/// A query for one protocol.
pub(super) struct Query {
    pub(super) metric: &'static str,
    pub(super) protocol: &'static str,
    pub(super) promql: String,
}

/// Labels that a series must have besides the two clusters. A series without one of them is skipped.
pub(super) const REQUIRED: [&str; 12] = [
    "source_workload_namespace",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "destination_service_namespace",
    "destination_service",
    "destination_service_name",
    "destination_workload_namespace",
    "destination_workload",
    "destination_canonical_service",
    "destination_canonical_revision",
    "response_flags",
];

/// Returns all queries of a graph. `parameters` are those of the request.
pub(super) fn queries(
    namespaces: &[&str],
    parameters: &HashMap<String, String>,
    scope: &[(String, String)],
) -> Vec<Query> {
    let parameter = |name: &str, default| parameters.get(name).map_or(default, String::as_str);
    let duration = parameter("duration", "10m");
    let ambient = parameter("ambientTraffic", "total");
    let idle = parameter("includeIdleEdges", "false") == "true";
    let tcp = match parameter("rateTcp", "sent") {
        "none" => vec![],
        // Istio's layer 4 metrics have the two directions swapped.
        "received" => vec!["istio_tcp_sent_bytes_total"],
        "total" => vec![
            "istio_tcp_received_bytes_total",
            "istio_tcp_sent_bytes_total",
        ],
        _ => vec!["istio_tcp_received_bytes_total"],
    };
    let http = match parameter("rateHttp", "requests") {
        "none" => vec![],
        _ => vec!["istio_requests_total"],
    };
    let metrics = tcp
        .into_iter()
        .map(|m| (m, "tcp"))
        .chain(http.into_iter().map(|m| (m, "http")));
    let mut queries = Vec::new();
    for (metric, protocol) in metrics {
        for namespace in namespaces {
            for question in questions(namespace) {
                let selector = selector(&question, protocol, ambient, scope);
                let by = labels(protocol).join(",");
                let rate = format!("sum(rate({metric}{{{selector}}}[{duration}])) by ({by})");
                let promql = if idle { rate } else { format!("{rate} > 0") };
                queries.push(Query {
                    metric,
                    protocol,
                    promql,
                });
            }
        }
    }
    queries
}

/// Returns the reporter and the selector of each query: traffic that never reached a workload, incoming traffic as its
/// destination reports it, and outgoing traffic as its source reports it.
fn questions(namespace: &str) -> [(&'static str, String); 3] {
    [
        (
            "source",
            format!(
                "source_workload_namespace!=\"{namespace}\",destination_workload_namespace=\"unknown\",\
                 destination_workload=\"unknown\",destination_service=~\"^.+\\\\.{namespace}\\\\..+$\""
            ),
        ),
        (
            "destination",
            format!("destination_workload_namespace=\"{namespace}\""),
        ),
        (
            "source",
            format!("source_workload_namespace=\"{namespace}\""),
        ),
    ]
}

fn selector(
    (reporter, of): &(&str, String),
    protocol: &str,
    ambient: &str,
    scope: &[(String, String)],
) -> String {
    let mut labels: Vec<String> = scope.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
    if protocol == "tcp" && ["none", "waypoint"].contains(&ambient) {
        labels.push("app!=\"ztunnel\"".into());
    }
    labels.push(match ambient {
        "total" | "waypoint" => format!("reporter=~\"waypoint|{reporter}\""),
        _ => format!("reporter=\"{reporter}\""),
    });
    labels.push(of.clone());
    labels.join(",")
}

fn labels(protocol: &str) -> Vec<&'static str> {
    let mut labels = vec![
        "source_cluster",
        "destination_cluster",
        "connection_security_policy",
    ];
    labels.extend(REQUIRED);
    labels.extend(match protocol {
        "tcp" => ["app"].as_slice(),
        _ => ["request_protocol", "response_code", "grpc_response_status"].as_slice(),
    });
    labels
}

/// Whether the text is only a duration, so that it is safe in a query.
pub(super) fn is_duration(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promql(pairs: &[(&str, &str)], scope: &[(String, String)]) -> Vec<String> {
        let parameters = pairs
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        queries(&["sample"], &parameters, scope)
            .into_iter()
            .map(|q| q.promql)
            .collect()
    }

    #[test]
    fn ambient_traffic_none_leaves_ztunnel_out() {
        let only_tcp = [("rateHttp", "none"), ("duration", "300s")];
        let total = promql(&only_tcp, &[]);
        let starts = [
            "reporter=~\"waypoint|source\",source_workload_namespace!=\"sample\",\
             destination_workload_namespace=\"unknown\",destination_workload=\"unknown\",\
             destination_service=~\"^.+\\\\.sample\\\\..+$\"}[300s])) by (source_cluster,",
            "reporter=~\"waypoint|destination\",destination_workload_namespace=\"sample\"}[300s]",
            "reporter=~\"waypoint|source\",source_workload_namespace=\"sample\"}[300s]",
        ];
        assert_eq!(total.len(), starts.len());
        for (query, start) in total.iter().zip(starts) {
            let start = format!("sum(rate(istio_tcp_received_bytes_total{{{start}");
            assert!(query.starts_with(&start), "{query}");
        }
        let none = promql(
            &[&only_tcp[..], &[("ambientTraffic", "none")]].concat(),
            &[],
        );
        let reporters = ["source", "destination", "source"];
        for (query, reporter) in none.iter().zip(reporters) {
            let of = format!("app!=\"ztunnel\",reporter=\"{reporter}\",");
            assert!(query.contains(&of), "{query}");
        }
    }

    #[test]
    fn the_scope_is_in_every_query() {
        let scoped = promql(&[], &[("mesh".to_string(), "m1".to_string())]);
        assert_eq!(scoped.len(), 6);
        assert!(scoped.iter().all(|q| q.contains("{mesh=\"m1\",")));
    }
}
