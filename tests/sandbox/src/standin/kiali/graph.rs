//! GET /api/namespaces/graph: the traffic between the workloads of all clusters, from Prometheus.

use std::collections::{BTreeSet, HashMap};

use futures::future::try_join_all;
use hyper::StatusCode;
use kube::ResourceExt;
use serde_json::json;

use super::Kiali;
use super::elements::Graph;
use super::http::{Answer, error, json as answer};
use super::promql::{is_duration, queries};

pub(super) async fn graph(kiali: &Kiali, parameters: &HashMap<String, String>) -> Answer {
    let parameter = |name: &str, default| parameters.get(name).map_or(default, String::as_str);
    let asked: BTreeSet<&str> = parameter("namespaces", "")
        .split(',')
        .filter(|n| !n.is_empty())
        .collect();
    let duration = parameter("duration", "10m");
    if asked.is_empty() || !is_duration(duration) {
        return error(
            StatusCode::BAD_REQUEST,
            "namespaces or duration missing or invalid",
        );
    }
    let known = match kiali
        .clusters
        .namespaces(|line| kiali.container.log(line))
        .await
    {
        Ok(known) => known,
        Err(why) => return error(StatusCode::INTERNAL_SERVER_ERROR, why),
    };
    let known: BTreeSet<(String, String)> = known
        .iter()
        .map(|(cluster, n)| (cluster.key.clone(), n.name_any()))
        .collect();
    if let Some(hidden) = asked
        .iter()
        .find(|n| known.iter().all(|(_, name)| name != *n))
    {
        return error(
            StatusCode::FORBIDDEN,
            format!("Namespace [{hidden}] is not accessible for Kiali"),
        );
    }
    let asked: Vec<&str> = asked.into_iter().collect();
    let mut graph = Graph::default();
    if kiali.prometheus.connected() {
        let queries = queries(&asked, parameters, &kiali.config.prometheus.scope);
        let time = parameters.get("queryTime").map(String::as_str);
        let answers = try_join_all(
            queries
                .iter()
                .map(|q| kiali.prometheus.query(&q.promql, time)),
        )
        .await;
        let answers = match answers {
            Ok(answers) => answers,
            Err(why) => return error(StatusCode::SERVICE_UNAVAILABLE, format!("{why:#}")),
        };
        let services = parameter("injectServiceNodes", "false") == "true";
        for (query, samples) in queries.iter().zip(answers) {
            for (labels, rate) in samples {
                if let Err(why) = graph.add(query, &labels, rate, services, &known) {
                    kiali
                        .container
                        .log(format_args!("WRN Skipping series: {why}: {labels}"));
                }
            }
        }
    }
    for by in parameter("boxBy", "").split(',').rev() {
        graph.boxes(by);
    }
    let now = jiff::Timestamp::now().as_second();
    answer(&json!({
        "timestamp": parameters.get("queryTime").and_then(|t| t.parse().ok()).unwrap_or(now),
        "duration": duration.trim_end_matches('s').parse::<i64>().unwrap_or(600),
        "graphType": parameter("graphType", "workload"),
        "elements": graph.elements(),
    }))
}
