//! Builds the nodes, edges and boxes of a traffic graph from time series.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use serde_json::{Value, json};

use super::promql::{Query, REQUIRED};

/// Nodes and edges by their IDs.
#[derive(Default)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Value>,
    edges: BTreeMap<String, Edge>,
    /// The connections already added. Both ends report a connection, with the same labels if each end knows the other.
    added: BTreeSet<String>,
}

struct Edge {
    source: String,
    target: String,
    protocol: &'static str,
    rate: f64,
    mtls: f64,
}

impl Graph {
    pub(super) fn add(
        &mut self,
        query: &Query,
        labels: &Value,
        rate: f64,
        services: bool,
        known: &BTreeSet<(String, String)>,
    ) -> Result<(), &'static str> {
        if REQUIRED.iter().any(|label| labels[*label].is_null()) {
            return Err("missing expected TS labels");
        }
        let label = |name: &str| labels[name].as_str().unwrap_or("unknown");
        let protocol = query.protocol;
        let (from, to) = clusters(&label)?;
        let ends = REQUIRED.map(&label);
        if !self
            .added
            .insert(id(&[&[query.metric, from, to][..], &ends].concat()))
        {
            return Ok(());
        }
        let mtls = if label("connection_security_policy") == "mutual_tls" {
            rate
        } else {
            0.0
        };
        let source = self.workload("source", from, &label, known);
        let has_service = label("destination_service_name") != "unknown";
        let hops = match label("destination_workload") {
            // Only the requested Service is known.
            "unknown" if has_service => vec![(source, self.service(to, &label, known))],
            _ if services && has_service => {
                let target = self.workload("destination", to, &label, known);
                let service = self.service(to, &label, known);
                vec![(source, service.clone()), (service, target)]
            }
            _ => vec![(source, self.workload("destination", to, &label, known))],
        };
        for (source, target) in hops {
            let id = id(&[&source, &target, protocol]);
            let edge = self.edges.entry(id).or_insert(Edge {
                source,
                target,
                protocol,
                rate: 0.0,
                mtls: 0.0,
            });
            edge.rate += rate;
            edge.mtls += mtls;
        }
        Ok(())
    }

    fn workload<'a>(
        &mut self,
        side: &str,
        cluster: &str,
        label: &impl Fn(&str) -> &'a str,
        known: &BTreeSet<(String, String)>,
    ) -> String {
        let part = |name: &str| label(&format!("{side}_{name}"));
        let (namespace, workload) = (part("workload_namespace"), part("workload"));
        let mut node = node(cluster, namespace, known);
        node["nodeType"] = json!(if workload == "unknown" {
            "unknown"
        } else {
            "workload"
        });
        node["workload"] = json!(workload);
        node["app"] = json!(part("canonical_service"));
        node["version"] = json!(part("canonical_revision"));
        self.insert(&["workload", cluster, namespace, workload], node)
    }

    fn service<'a>(
        &mut self,
        cluster: &str,
        label: &impl Fn(&str) -> &'a str,
        known: &BTreeSet<(String, String)>,
    ) -> String {
        let (namespace, service) = (
            label("destination_service_namespace"),
            label("destination_service_name"),
        );
        let mut node = node(cluster, namespace, known);
        node["nodeType"] = json!("service");
        node["service"] = json!(service);
        node["destServices"] =
            json!([{"cluster": cluster, "namespace": namespace, "name": service}]);
        self.insert(&["service", cluster, namespace, service], node)
    }

    fn insert(&mut self, key: &[&str], mut node: Value) -> String {
        let id = id(key);
        node["id"] = json!(id);
        self.nodes.entry(id.clone()).or_insert(node);
        id
    }

    /// Adds boxes, the innermost first. A node that already has a box gets no other one.
    pub(super) fn boxes(&mut self, by: &str) {
        let mut boxes = BTreeMap::new();
        for node in self.nodes.values_mut().filter(|n| n["parent"].is_null()) {
            let part = |name: &str| node[name].as_str().unwrap_or_default().to_string();
            let (cluster, namespace) = (part("cluster"), part("namespace"));
            let namespace = match by {
                "namespace" if node["isBox"].is_null() => namespace,
                "cluster" => String::new(),
                _ => continue,
            };
            let id = id(&["box", by, &cluster, &namespace]);
            node["parent"] = json!(id);
            let about = json!({
                "id": id, "nodeType": "box", "isBox": by, "cluster": cluster, "namespace": namespace,
            });
            boxes.insert(id, about);
        }
        self.nodes.extend(boxes);
    }

    pub(super) fn elements(self) -> Value {
        let nodes: Vec<Value> = self
            .nodes
            .into_values()
            .map(|data| json!({"data": data}))
            .collect();
        let edges = self.edges.into_iter().map(|(id, edge)| {
            let mut rates = json!({});
            rates[edge.protocol] = json!(format!("{:.2}", edge.rate));
            let mut data = json!({
                "id": id, "source": edge.source, "target": edge.target,
                "traffic": {"protocol": edge.protocol, "rates": rates, "responses": {}},
            });
            if edge.mtls > 0.0 {
                data["isMTLS"] = json!(format!("{:.0}", 100.0 * edge.mtls / edge.rate));
            }
            json!({"data": data})
        });
        json!({"nodes": nodes, "edges": edges.collect::<Vec<_>>()})
    }
}

/// Returns the clusters of both ends. Bad telemetry is either dropped or, worse, becomes an edge within one cluster.
fn clusters<'a>(label: &impl Fn(&str) -> &'a str) -> Result<(&'a str, &'a str), &'static str> {
    let (from, to) = (label("source_cluster"), label("destination_cluster"));
    if from == "unknown" && label("source_workload_namespace") != "unknown" {
        return Err("bad source telemetry");
    }
    let assumed = to == "unknown" && label("destination_service_namespace") != "unknown";
    Ok((from, if assumed { from } else { to }))
}

fn node(cluster: &str, namespace: &str, known: &BTreeSet<(String, String)>) -> Value {
    let mut node = json!({"cluster": cluster, "namespace": namespace});
    if !known.contains(&(cluster.to_string(), namespace.to_string())) {
        node["isInaccessible"] = json!(true);
    }
    node
}

fn id(key: &[&str]) -> String {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests;
