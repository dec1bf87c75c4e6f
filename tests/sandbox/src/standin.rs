//! What cannot run without a container engine, one file each.

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
mod watch;
pub mod ztunnel;

/// On what stands for bookkeeping of a real cluster, so that no comparison of clusters shows it.
pub(crate) const OURS: (&str, &str) = ("sandbox", "bookkeeping");

/// What all stand-ins of a sandbox share.
#[derive(Clone)]
pub struct World {
    pub delays: Arc<RwLock<Delays>>,
    /// Who talked to whom, and the counters of it.
    pub traffic: sample::Traffic,
    /// Whether Services get addresses.
    pub load_balancers: load_balancer::Switch,
    /// The real Prometheus.
    pub prometheus: PathBuf,
    /// The real Envoy.
    pub envoy: PathBuf,
    /// This project's `sandbox` binary, which also plays the commands inside pods (`curl`, `wget`).
    pub sandbox_binary: PathBuf,
}

impl World {
    /// For what starts from now on.
    pub fn change_delays(&self, change: impl FnOnce(&mut Delays)) {
        change(&mut self.delays.write().unwrap_or_else(|e| e.into_inner()));
    }

    pub fn delays(&self) -> Delays {
        *self.delays.read().unwrap_or_else(|e| e.into_inner())
    }
}

/// Everything that runs beside one cluster. Never returns; dropped when the sandbox stops.
pub async fn run(cluster: Cluster, world: World) {
    world.traffic.register(cluster.clone());
    tokio::join!(
        kubelet::run(cluster.clone(), world.clone()),
        load_balancer::run(cluster.clone(), world.clone()),
        gateway::run(cluster.clone()),
    );
}
