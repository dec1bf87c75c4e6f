//! The metrics pages of the ztunnels that carry the requests, read through a port-forward. Prometheus scrapes the same
//! pages, so they tell a ztunnel that counts nothing from metrics that get lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};

use super::counters::{Row, is_counter};
use super::probe::{Ends, Probes, Service};
use crate::guide::{ISTIO_NAMESPACE, Step};
use crate::k8s::forward::{Connection, Target};
use crate::k8s::{Scope, pods};
use crate::mesh::ClusterName;
use crate::run::Run;

const PODS: &str = "app=ztunnel";
const PORT: u16 = 15020;
const PATH: &str = "/metrics";
const ANSWER: Duration = Duration::from_secs(10);
/// How many ztunnels of a cluster are read, each with a connection through its API server.
const MOST: usize = 8;
/// A page with thousands of edges has less.
const LARGEST: usize = 8 << 20;

/// The ztunnels of one cluster that carry the requests.
pub struct Ztunnels<'a> {
    pub scope: Scope<'a>,
    pub pods: Vec<String>,
    /// How many more are on nodes with pods that answer.
    pub unread: usize,
}

/// The ztunnels of each cluster, or why they cannot be read.
pub async fn find<'a>(
    run: &Run<'a>,
    probes: &Probes<'_>,
) -> BTreeMap<ClusterName, Result<Ztunnels<'a>, String>> {
    let found = run.mesh.all().filter_map(|cluster| {
        let ends = probes.get(&cluster.name)?;
        let scope = run.on(Step::AggregateMetrics, cluster);
        Some(async move {
            let found = of_nodes(scope, &nodes(ends)).await;
            (cluster.name.clone(), found.map_err(|e| format!("{e:#}")))
        })
    });
    join_all(found).await.into_iter().collect()
}

/// The node of the client comes first.
fn nodes<'a>(ends: &'a Ends<'_>) -> Vec<&'a str> {
    let client = ends.client.iter().map(|probe| probe.node.as_str());
    let servers = ends.servers.iter().flatten();
    let nodes = client.chain(servers.map(|server| server.node.as_str()));
    let mut known = BTreeSet::new();
    nodes.filter(|node| known.insert(*node)).collect()
}

async fn of_nodes<'a>(scope: Scope<'a>, nodes: &[&str]) -> Result<Ztunnels<'a>> {
    let all = pods::labelled(&scope, ISTIO_NAMESPACE, PODS).await?;
    let on = |node: &str| {
        let mut newest_first = all.iter().rev().filter(|pod| pods::is_ready(pod));
        let pod = newest_first.find(|pod| {
            let spec = pod.spec.as_ref();
            spec.and_then(|spec| spec.node_name.as_deref()) == Some(node)
        });
        pod.and_then(|pod| pod.metadata.name.clone())
            .with_context(|| {
                format!(
                    "no ready pod with label {PODS} in namespace {ISTIO_NAMESPACE} on node {node}"
                )
            })
    };
    let pods = nodes.iter().take(MOST).map(|node| on(node));
    Ok(Ztunnels {
        pods: pods.collect::<Result<_>>()?,
        unread: nodes.len().saturating_sub(MOST),
        scope,
    })
}

/// The counters of these Services in all pages of a cluster.
pub async fn read(ztunnels: &Ztunnels<'_>, services: &BTreeSet<Service>) -> Result<Vec<Row>> {
    let cluster = &ztunnels.scope.cluster.name;
    let pages = ztunnels.pods.iter().map(async |pod| {
        let target = Target {
            namespace: ISTIO_NAMESPACE.into(),
            pod: pod.clone(),
            port: PORT,
        };
        let page = async {
            let mut ztunnel = Connection::once(&ztunnels.scope, &target, ANSWER).await?;
            ztunnel.text_of(PATH, LARGEST).await
        };
        let page = page.await;
        page.with_context(|| format!("metrics of Pod {ISTIO_NAMESPACE}/{pod}"))
    });
    let pages = try_join_all(pages).await?;
    let rows = pages.iter().flat_map(|page| rows(page, services));
    Ok(rows.map(|row| of_cluster(row, cluster)).collect())
}

fn of_cluster((mut labels, value): Row, cluster: &ClusterName) -> Row {
    labels.insert("cluster".into(), cluster.to_string());
    (labels, value)
}

/// The series of a page that count for these Services. What is no series is left out.
fn rows<'a>(page: &'a str, services: &'a BTreeSet<Service>) -> impl Iterator<Item = Row> + 'a {
    let rows = page.lines().filter_map(row);
    rows.filter(|(labels, _)| {
        let label = |name: &str| labels.get(name).map(String::as_str);
        services.iter().any(|service| {
            label("destination_service_name") == Some(&service.name)
                && label("destination_service_namespace") == Some(&service.namespace)
        })
    })
}

/// Reads a line such as `name{label="value"} 1`, which may end with a time.
fn row(line: &str) -> Option<Row> {
    let (name, rest) = line.split_once('{')?;
    if !is_counter(name) {
        return None;
    }
    let mut labels = BTreeMap::from([("__name__".to_string(), name.to_string())]);
    let mut rest = rest;
    while !rest.starts_with('}') {
        let (label, value, after) = label(rest)?;
        labels.insert(label.into(), value);
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    let value = rest[1..].split_whitespace().next()?.parse::<f64>().ok()?;
    (value.is_finite() && value >= 0.0).then_some((labels, value))
}

/// The first label, its value, and what comes after it.
fn label(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once("=\"")?;
    let mut value = String::new();
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((name, value, &rest[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped => escaped,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests;
