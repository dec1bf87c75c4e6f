//! Kiali's traffic graph, by the query that its page sends. Kiali makes it from queries to Prometheus or the store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

use super::WEB_ROOT;
use crate::k8s::Scope;
use crate::k8s::forward::{Connection, Target};
use crate::metrics::Interval;

/// What the page of the traffic graph asks for, apart from namespaces and duration. Its graph has a node for each
/// Service between the workloads.
const QUERY: &str = "graphType=workload&includeIdleEdges=false&injectServiceNodes=true&boxBy=cluster,namespace&waypoints=false&ambientTraffic=total&appenders=deadNode,serviceEntry,meshCheck,workloadEntry,health,istio,ambient&rateGrpc=requests&rateHttp=requests&rateTcp=sent";

#[derive(Deserialize)]
pub struct Graph {
    elements: Elements,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Elements {
    nodes: Vec<Element<Node>>,
    edges: Vec<Element<Edge>>,
}

#[derive(Deserialize)]
struct Element<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    #[serde(default)]
    node_type: String,
    #[serde(default)]
    cluster: String,
    #[serde(default)]
    namespace: String,
    /// The name of a Service, if the node is one.
    #[serde(default)]
    service: String,
}

#[derive(Deserialize)]
struct Edge {
    source: String,
    target: String,
}

/// Traffic from a workload to a Service with a workload behind it. Each cluster has a node for the Service of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Traffic {
    pub from: String,
    pub to: String,
    /// Namespace and name.
    pub service: (String, String),
}

/// How far back the graph goes: a rate needs several samples.
pub fn window(interval: Interval) -> Duration {
    interval.times(4).max(Duration::from_secs(60))
}

/// The graph of these namespaces of all clusters.
pub async fn read<'a>(
    kiali: &mut Connection,
    namespaces: impl IntoIterator<Item = &'a str>,
    window: Duration,
) -> Result<Graph> {
    let namespaces = namespaces.into_iter().collect::<Vec<_>>().join(",");
    let seconds = window.as_secs();
    let path = format!(
        "{WEB_ROOT}/api/namespaces/graph?namespaces={namespaces}&duration={seconds}s&{QUERY}"
    );
    kiali.get(&path).await
}

/// The traffic in the graph of these namespaces.
pub async fn traffic(
    scope: &Scope<'_>,
    target: &Target,
    namespaces: &BTreeSet<&str>,
    patience: Duration,
) -> Result<BTreeSet<Traffic>> {
    let mut kiali = Connection::once(scope, target, patience).await?;
    let window = window(scope.settings.metrics.interval);
    let graph = read(&mut kiali, namespaces.iter().copied(), window).await?;
    Ok(graph.traffic())
}

impl Graph {
    fn traffic(&self) -> BTreeSet<Traffic> {
        let nodes = self.elements.nodes.iter().map(|node| &node.data);
        let nodes = nodes.map(|node| (node.id.as_str(), node));
        let nodes = nodes.collect::<BTreeMap<_, _>>();
        let edges = self.elements.edges.iter().filter_map(|edge| {
            let of = |id: &str| nodes.get(id).copied();
            Some((of(&edge.data.source)?, of(&edge.data.target)?))
        });
        let edges = edges.collect::<Vec<_>>();
        // Kiali draws an edge to a Service without a workload where the receiver is not known.
        let answered = edges.iter().filter(|(from, to)| {
            from.node_type == "service" && to.node_type == "workload" && from.cluster == to.cluster
        });
        let answered = answered.map(|(service, _)| service.id.as_str());
        let answered = answered.collect::<BTreeSet<_>>();
        let to_services = edges
            .iter()
            .filter(|(from, to)| from.node_type == "workload" && answered.contains(to.id.as_str()));
        let traffic = to_services.map(|(from, service)| Traffic {
            from: from.cluster.clone(),
            to: service.cluster.clone(),
            service: (service.namespace.clone(), service.service.clone()),
        });
        traffic.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_goes_from_a_workload_to_a_service_that_a_workload_answers_for() {
        let text = r#"{"timestamp": 1, "elements": {
            "nodes": [
                {"data": {"id": "a", "nodeType": "workload", "cluster": "c1", "workload": "curl"}},
                {"data": {"id": "s1", "nodeType": "service", "cluster": "c1", "namespace": "n", "service": "hello"}},
                {"data": {"id": "s2", "nodeType": "service", "cluster": "c2", "namespace": "n", "service": "hello"}},
                {"data": {"id": "b", "nodeType": "workload", "cluster": "c2", "workload": "hello-v2"}},
                {"data": {"id": "box", "nodeType": "box", "isBox": "cluster", "cluster": "c1"}},
                {"data": {"id": "u"}}],
            "edges": [
                {"data": {"id": "e", "source": "a", "target": "s2", "traffic": {"protocol": "tcp"}}},
                {"data": {"source": "s2", "target": "b"}},
                {"data": {"source": "a", "target": "s1"}},
                {"data": {"source": "u", "target": "s2"}},
                {"data": {"source": "a", "target": "x"}}]}}"#;
        let graph: Graph = serde_json::from_str(text).unwrap();
        let found = Traffic {
            from: "c1".into(),
            to: "c2".into(),
            service: ("n".into(), "hello".into()),
        };
        assert_eq!(graph.traffic(), BTreeSet::from([found]));
        crate::fuzz::fuzz("Kiali's graph", &[text], |input| {
            let _ = serde_json::from_slice::<Graph>(input).map(|graph| graph.traffic());
        });
    }
}
