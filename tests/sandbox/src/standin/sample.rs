//! Traffic between pods in the mesh. The pods behind a Service answer in turn, those of all clusters if it has the label
//! `istio.io/global`, and the ztunnels of both ends count each connection. `curl` and `helloworld` are the sample apps,
//! whose answer is made up here; any other pod is really asked.
//!
//! What it cannot show: time on the wire, east-west gateways, mTLS, real byte counts of the sample. The answering pods
//! are read from each cluster: those that are Ready, in other clusters only behind a global Service. Connections between
//! clusters fail only if a test says so or if a ztunnel is missing. Connections within a cluster never fail.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

pub use self::workload::{Named, Workload};
use super::service;
use super::ztunnel::telemetry::{Reported, Ztunnel, reports};
use crate::Cluster;

mod workload;

/// The port of `helloworld`.
pub const PORT: u16 = 5000;
/// The size of `GET /hello` to `helloworld.sample:5000`, from a curl whose user agent has eleven letters.
const REQUEST: u64 = 91;
/// The size of the head of the answer.
const HEAD: u64 = 163;

/// The traffic between all clusters of the sandbox.
#[derive(Clone, Default)]
pub struct Traffic {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    clusters: Vec<Cluster>,
    ztunnels: Vec<Ztunnel>,
    frozen: Frozen,
    failure: Option<Failure>,
    /// Whose turn it is to answer, for each cluster that sends.
    turns: BTreeMap<String, usize>,
}

/// Which ztunnels count nothing.
#[derive(Clone, Default, PartialEq, Eq)]
enum Frozen {
    #[default]
    Nothing,
    All,
    /// The reports of one cluster about one end.
    End(String, End),
}

/// The end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Source,
    Destination,
}

/// Why connections between clusters fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The other gateway or ztunnel does not answer or is not trusted.
    Connect,
    /// A policy in the receiver's cluster denies it.
    Deny,
}

/// What the client sees: ztunnel accepts its connection and closes it.
#[derive(Debug)]
pub struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection reset by peer")
    }
}

impl std::error::Error for Reset {}

/// Who sends to whom, through which Service.
#[derive(Clone, Debug)]
pub struct Ends {
    pub sender: Workload,
    pub service: Named,
    pub answerer: Workload,
}

/// An open connection. Closed when dropped.
pub struct Connection {
    answerer: Answerer,
    reported: Vec<Reported>,
}

/// A running ztunnel. Stops when dropped.
pub struct Running {
    traffic: Traffic,
    ztunnel: Ztunnel,
}

/// A pod that may answer.
#[derive(Clone, Debug)]
struct Answerer {
    cluster: String,
    pod: String,
    workload: Workload,
    /// None for a port that the Service does not have.
    address: Option<SocketAddr>,
}

impl Traffic {
    /// Adds a cluster when its stand-ins start.
    pub fn register(&self, cluster: Cluster) {
        let mut state = self.state();
        state
            .clusters
            .retain(|known| known.name() != cluster.name());
        state.clusters.push(cluster);
    }

    /// Makes a new ztunnel carry its cluster's traffic. Its counters are zero.
    pub fn carried_by(&self, ztunnel: &Ztunnel) -> Running {
        self.state().ztunnels.push(ztunnel.clone());
        Running {
            traffic: self.clone(),
            ztunnel: ztunnel.clone(),
        }
    }

    /// Returns all clusters of the sandbox.
    pub fn clusters(&self) -> Vec<Cluster> {
        self.state().clusters.clone()
    }

    /// Freezes the counters. Requests are still answered.
    pub fn freeze(&self, frozen: bool) {
        self.state().frozen = match frozen {
            true => Frozen::All,
            false => Frozen::Nothing,
        };
    }

    /// Freezes only what the ztunnel of a cluster reports about one end.
    pub fn freeze_end(&self, cluster: &str, end: End) {
        self.state().frozen = Frozen::End(cluster.to_owned(), end);
    }

    /// Makes connections between clusters fail, or stops doing so.
    pub fn fail(&self, failure: Option<Failure>) {
        self.state().failure = failure;
    }

    /// Sends a request from the `curl` pod of a cluster and returns the answer of helloworld.
    pub async fn request(&self, from: &str) -> Result<String> {
        let connection = self.open(from, Workload::curl(), Named::helloworld(), PORT);
        Ok(connection.await?.hello())
    }

    /// Opens a connection from a pod of a cluster to a Service, without sending anything.
    pub async fn open(
        &self,
        from: &str,
        sender: Workload,
        service: Named,
        port: u16,
    ) -> Result<Connection> {
        let clusters = self.clusters();
        let mut answerers = Vec::new();
        for cluster in &clusters {
            let local = cluster.name() == from;
            answerers.extend(answerers_of(cluster, local, &service, port).await?);
        }
        self.state().open(from, sender, service, &answerers)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl State {
    fn open(
        &mut self,
        from: &str,
        sender: Workload,
        service: Named,
        answerers: &[Answerer],
    ) -> Result<Connection> {
        if answerers.is_empty() {
            bail!("no pod of {} is ready", service.name);
        }
        let Some(ztunnel) = self.ztunnel(from) else {
            bail!("no ztunnel carries the traffic of {from}");
        };
        ztunnel.asked_for_a_name(&sender.app);
        let turn = self.turns.entry(from.to_owned()).or_default();
        let answerer = answerers[*turn % answerers.len()].clone();
        *turn += 1;
        let receiver = self.ztunnel(&answerer.cluster);
        let failure = match (&receiver, self.failure) {
            _ if answerer.cluster == from => None,
            (None, _) => Some(Failure::Connect),
            (Some(_), failure) => failure,
        };
        let ends = Ends {
            sender,
            service,
            answerer: answerer.workload.clone(),
        };
        let mut reported = reports(&ztunnel, receiver.as_ref(), &ends, failure);
        reported.retain(|report| match &self.frozen {
            Frozen::Nothing => true,
            Frozen::All => false,
            Frozen::End(cluster, end) => *cluster != report.cluster() || *end != report.end(),
        });
        for report in &reported {
            report.opened();
        }
        let connection = Connection { answerer, reported };
        match failure {
            None => Ok(connection),
            Some(_) => bail!(Reset),
        }
    }

    /// Returns the youngest ztunnel. One that is shutting down accepts no new connections.
    fn ztunnel(&self, cluster: &str) -> Option<Ztunnel> {
        let mut of_cluster = self.ztunnels.iter().filter(|z| z.cluster() == cluster);
        of_cluster.next_back().cloned()
    }
}

impl Connection {
    /// Sends one request to helloworld over this connection. There may be more.
    pub fn hello(&self) -> String {
        let Answerer { pod, workload, .. } = &self.answerer;
        let line = format!("Hello version: {}, instance: {pod}\n", workload.revision);
        self.transferred(REQUEST, HEAD + line.len() as u64);
        line
    }

    /// Where the answering pod listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.answerer.address
    }

    /// Counts the bytes that the answering pod received and sent.
    pub fn transferred(&self, received: u64, sent: u64) {
        for report in &self.reported {
            report.transferred(received, sent);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for report in &self.reported {
            report.closed();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let is_other = |known: &Ztunnel| !known.is(&self.ztunnel);
        self.traffic.state().ztunnels.retain(is_other);
    }
}

async fn answerers_of(
    cluster: &Cluster,
    local: bool,
    name: &Named,
    port: u16,
) -> Result<Vec<Answerer>> {
    let service = Api::<Service>::namespaced(cluster.client(), &name.namespace)
        .get_opt(&name.name)
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
    let pods = Api::<Pod>::namespaced(cluster.client(), &name.namespace)
        .list(&ListParams::default())
        .await?;
    let ready = service::behind(&service, &pods.items);
    Ok(ready
        .map(|pod| Answerer {
            cluster: cluster.name().to_owned(),
            pod: pod.name_any(),
            workload: Workload::of(pod),
            address: service::among(&service, port, &[pod]).ok(),
        })
        .collect())
}

#[cfg(test)]
mod tests;
