//! What runs on home: whether it runs, and what Kiali itself says of the clusters.

use std::time::{Duration, Instant};

use super::{Known, in_time};
use crate::guide::Step;
use crate::mesh::ClusterName;
use crate::run::Run;
use crate::steps::aggregate_metrics::{self, Federation};
use crate::steps::kiali::{self, server};

/// For Kiali, which asks each cluster.
const ANSWER: Duration = Duration::from_secs(10);

pub struct Home {
    /// Whether a pod of the federating Prometheus is ready; None if the metrics are in a store.
    pub federation: Known<Option<bool>>,
    pub sight: Known<Sight>,
    /// The URL that Kiali's CR names for metrics, and the one that an install gives to it; None without a CR.
    pub queried: Known<Option<(String, String)>>,
}

/// What Kiali sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// No pod of Kiali is ready.
    NotReady,
    All,
    /// What Kiali says that it does not see.
    Blind(String),
    /// Kiali runs and does not answer in time.
    Silent(String),
}

pub async fn gather(run: &Run<'_>, clusters: &[ClusterName]) -> Home {
    let (federation, sight, queried) = tokio::join!(
        in_time(federation(run)),
        in_time(sight(run, clusters)),
        in_time(queried(run)),
    );
    Home {
        federation,
        sight,
        queried,
    }
}

async fn federation(run: &Run<'_>) -> Known<Option<bool>> {
    if run.settings.store.is_some() {
        return Ok(None);
    }
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    let running = Federation::running(&home).await;
    let running = running.map_err(|error| format!("{error:#}"))?;
    Ok(Some(running.is_some()))
}

async fn sight(run: &Run<'_>, clusters: &[ClusterName]) -> Known<Sight> {
    let home = run.on(Step::Kiali, &run.mesh.home);
    let target = kiali::target(&home).await;
    let target = target.map_err(|error| format!("{error:#}"))?;
    let Some(target) = target else {
        return Ok(Sight::NotReady);
    };
    let asked = Instant::now();
    match server::look(&home, &target, clusters, ANSWER).await {
        Ok(None) => Ok(Sight::All),
        Ok(Some(spot)) => Ok(Sight::Blind(spot)),
        Err(error) if asked.elapsed() >= ANSWER => Ok(Sight::Silent(format!("{error:#}"))),
        Err(error) => Err(format!("Kiali: {error:#}")),
    }
}

async fn queried(run: &Run<'_>) -> Known<Option<(String, String)>> {
    let home = run.on(Step::Kiali, &run.mesh.home);
    let queried = kiali::queried(&home).await;
    let queried = queried.map_err(|error| format!("{error:#}"))?;
    let wanted = kiali::to_query(&aggregate_metrics::url(run.namespace), run.settings);
    Ok(queried.map(|queried| (queried, wanted)))
}
