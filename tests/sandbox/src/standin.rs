//! Stand-ins for what cannot run without a container engine, each in its own file.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use crate::{Cluster, Delays};

pub mod container;
pub mod gateway;
mod http;
pub mod kiali;
pub mod kiali_operator;
pub mod kubelet;
pub mod load_balancer;
pub mod pod_commands;
pub mod prometheus;
pub mod sample;
pub mod service;
pub mod storage;
mod watch;
pub mod ztunnel;

/// The label of objects that replace the bookkeeping of a real cluster. Snapshots skip them.
pub(crate) const OURS: (&str, &str) = ("sandbox", "bookkeeping");

/// What all stand-ins of a sandbox share.
#[derive(Clone)]
pub struct World {
    pub delays: Arc<RwLock<Delays>>,
    /// The requests between the sample apps, and their counters.
    pub traffic: sample::Traffic,
    /// Whether Services get addresses.
    pub load_balancers: load_balancer::Switch,
    /// The program Prometheus.
    pub prometheus: PathBuf,
    /// The program promtool, of the same image.
    pub promtool: PathBuf,
    /// The program Envoy.
    pub envoy: PathBuf,
    /// This project's `sandbox` binary, which also runs as `curl`, `wget` and others in pods.
    pub sandbox_binary: PathBuf,
}

impl World {
    /// Changes the delays of everything that starts from now on.
    pub fn change_delays(&self, change: impl FnOnce(&mut Delays)) {
        change(&mut self.delays.write().unwrap_or_else(|e| e.into_inner()));
    }

    pub fn delays(&self) -> Delays {
        *self.delays.read().unwrap_or_else(|e| e.into_inner())
    }
}

/// Runs all stand-ins of a cluster. Never returns; it is dropped when the sandbox stops.
pub async fn run(cluster: Cluster, world: World) {
    world.traffic.register(cluster.clone());
    tokio::join!(
        kubelet::run(cluster.clone(), world.clone()),
        load_balancer::run(cluster.clone(), world.clone()),
        gateway::run(cluster.clone()),
        storage::run(cluster.clone()),
    );
}
