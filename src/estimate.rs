//! `estimate`: what the federating Prometheus would pull from each cluster with each metric profile, and what that costs.
//! Asks the Prometheus of each cluster through a port-forward and writes nothing.

mod model;
mod series;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::future::join_all;

#[cfg(test)]
pub use model::Pull;
pub use model::{Share, memory};
use series::Edge;

use crate::guide::Step;
use crate::k8s::forward::Connection;
use crate::mesh::{Cluster, ClusterName};
use crate::metrics::Profile;
use crate::run::Run;
use crate::steps::cluster_prometheus;

/// Time limit for all queries to the Prometheus of one cluster.
const PATIENCE: Duration = Duration::from_secs(60);

/// The Prometheus of one cluster.
#[derive(Debug)]
pub struct Estimate {
    pub cluster: ClusterName,
    /// What each profile brings, or why that is not known.
    pub found: Result<Vec<Share>, String>,
}

/// The estimates of all clusters, home first.
pub async fn estimate(run: &Run<'_>) -> Vec<Estimate> {
    join_all(run.mesh.all().map(|cluster| of_cluster(run, cluster))).await
}

async fn of_cluster(run: &Run<'_>, cluster: &Cluster) -> Estimate {
    let found = found(run, cluster).await;
    Estimate {
        cluster: cluster.name.clone(),
        found: found.map_err(|error| format!("{error:#}")),
    }
}

async fn found(run: &Run<'_>, cluster: &Cluster) -> Result<Vec<Share>> {
    if let Some(address) = &cluster.prometheus {
        bail!("its Prometheus at {address} is outside of the cluster");
    }
    let scope = run.on(Step::ClusterPrometheus, cluster);
    let target = cluster_prometheus::served(&scope).await?;
    let mut connection = Connection::open(&scope, &target, PATIENCE).await?;
    let shares = shares(&mut connection).await;
    shares.with_context(|| format!("Pod {}/{}", target.namespace, target.pod))
}

async fn shares(connection: &mut Connection) -> Result<Vec<Share>> {
    let mut shares = Vec::new();
    for profile in Profile::ALL {
        let edge = Edge::read(connection, profile).await?;
        let speed = series::speed(connection, profile, &edge).await?;
        shares.push(Share::of(profile, &edge, speed.as_ref()));
    }
    Ok(shares)
}
