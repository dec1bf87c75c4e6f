//! The sample apps: `curl` asks `helloworld`, pods of every cluster answer in turn, and the counters
//! move that each cluster's ztunnel reports.
//!
//! What it cannot show: real traffic, time on the wire, east-west gateways, mTLS. Who answers is
//! read from each cluster: pods of `helloworld` that are Ready, elsewhere only behind a Service with
//! `istio.io/global`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::service;
use crate::Cluster;

const NAMESPACE: &str = "sample";
/// Bytes of one request as `curl` sends it.
const REQUEST: u64 = 84;
/// Bytes of the answer's head.
const HEAD: u64 = 163;

/// Who talked to whom, over all clusters of the sandbox.
#[derive(Clone, Default)]
pub struct Traffic {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    clusters: Vec<Cluster>,
    frozen: bool,
    turn: usize,
    counters: BTreeMap<Edge, Counters>,
}

/// One series: who reports, who asked, who answered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    pub reporter: Reporter,
    pub source_cluster: String,
    pub destination_cluster: String,
    pub version: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reporter {
    Source,
    Destination,
}

#[derive(Clone, Copy, Default, Debug)]
pub struct Counters {
    pub connections: u64,
    pub received: u64,
    pub sent: u64,
}

struct Answerer {
    cluster: String,
    pod: String,
    version: String,
}

impl Traffic {
    /// Each cluster once, when its stand-ins start.
    pub fn register(&self, cluster: Cluster) {
        let mut state = self.state();
        state
            .clusters
            .retain(|known| known.name() != cluster.name());
        state.clusters.push(cluster);
    }

    /// All clusters of the sandbox.
    pub fn clusters(&self) -> Vec<Cluster> {
        self.state().clusters.clone()
    }

    /// Counters stand still, requests are answered.
    pub fn freeze(&self, frozen: bool) {
        self.state().frozen = frozen;
    }

    /// One request from the `curl` pod of a cluster; the line that helloworld answers.
    pub async fn request(&self, from: &str) -> Result<String> {
        let clusters = self.state().clusters.clone();
        let mut answerers = Vec::new();
        for cluster in &clusters {
            answerers.extend(answerers_of(cluster, cluster.name() == from).await?);
        }
        if answerers.is_empty() {
            bail!("no helloworld pod is ready");
        }
        let mut state = self.state();
        let turn = state.turn;
        state.turn += 1;
        let answerer = &answerers[turn % answerers.len()];
        let line = format!(
            "Hello version: {}, instance: {}\n",
            answerer.version, answerer.pod
        );
        if !state.frozen {
            state.count(from, answerer, HEAD + line.len() as u64);
        }
        Ok(line)
    }

    /// What the ztunnel of a cluster reports.
    pub fn reported_in(&self, cluster: &str) -> Vec<(Edge, Counters)> {
        let state = self.state();
        let reports = |edge: &Edge| match edge.reporter {
            Reporter::Source => edge.source_cluster == cluster,
            Reporter::Destination => edge.destination_cluster == cluster,
        };
        let mine = state.counters.iter().filter(|(edge, _)| reports(edge));
        mine.map(|(edge, counters)| (edge.clone(), *counters))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl State {
    fn count(&mut self, from: &str, answerer: &Answerer, sent: u64) {
        for reporter in [Reporter::Source, Reporter::Destination] {
            let edge = Edge {
                reporter,
                source_cluster: from.to_owned(),
                destination_cluster: answerer.cluster.clone(),
                version: answerer.version.clone(),
            };
            let counters = self.counters.entry(edge).or_default();
            counters.connections += 1;
            counters.received += REQUEST;
            counters.sent += sent;
        }
    }
}

async fn answerers_of(cluster: &Cluster, local: bool) -> Result<Vec<Answerer>> {
    let service = Api::<Service>::namespaced(cluster.client(), NAMESPACE)
        .get_opt("helloworld")
        .await?;
    let Some(service) = service else {
        return Ok(Vec::new());
    };
    let global = service
        .labels()
        .get("istio.io/global")
        .is_some_and(|v| v == "true");
    if !local && !global {
        return Ok(Vec::new());
    }
    let pods = Api::<Pod>::namespaced(cluster.client(), NAMESPACE)
        .list(&ListParams::default().labels("app=helloworld"))
        .await?;
    let ready = pods.items.iter().filter(|pod| service::ready(pod));
    Ok(ready
        .map(|pod| Answerer {
            cluster: cluster.name().to_owned(),
            pod: pod.name_any(),
            version: pod
                .labels()
                .get("version")
                .cloned()
                .unwrap_or_else(|| "unknown".to_owned()),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_reports_to_its_own_cluster() {
        let traffic = Traffic::default();
        let answerer = Answerer {
            cluster: "b".into(),
            pod: "p".into(),
            version: "v2".into(),
        };
        traffic.state().count("a", &answerer, 10);
        traffic.state().count("a", &answerer, 10);
        let reported = |cluster| traffic.reported_in(cluster);
        assert_eq!(reported("a").len(), 1);
        assert_eq!(reported("a")[0].0.reporter, Reporter::Source);
        assert_eq!(reported("b")[0].0.reporter, Reporter::Destination);
        assert_eq!(reported("b")[0].1.sent, 20);
        assert_eq!(reported("c").len(), 0);
    }
}
