//! Traffic as the guide makes it, and its bytes in the federating Prometheus. Only growth counts:
//! a counter of yesterday proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{sleep, timeout};

use super::prometheus::Federation;
use super::told::Waits;
use super::{Finding, Hop, Verdict};
use crate::guide::Step;
use crate::install::Run;
use crate::k8s::{Scope, pods};
use crate::mesh::ClusterName;
use crate::progress::ObjectId;

const NAMESPACE: &str = "sample";
const PODS: &str = "app=curl";
const CONTAINER: &str = "curl";
const URL: &str = "helloworld.sample:5000/hello";
/// Bytes that reached the sample app, as ztunnels reported them, for each cluster that reported.
const RECEIVED: &str =
    r#"sum by (cluster) (istio_tcp_received_bytes_total{destination_workload_namespace="sample"})"#;
/// One scrape of a cluster's own Prometheus and two of the federating one, 15 s each, and some air.
const PATIENCE: Duration = Duration::from_secs(75);
const ANSWER: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_secs(1);

/// The sample's client.
struct Sender<'a> {
    scope: Scope<'a>,
    pod: String,
}

#[derive(Default)]
struct Seen {
    requests: usize,
    /// The versions that answered.
    answers: BTreeSet<String>,
    /// Each cluster's bytes when they were first seen, and last.
    bytes: BTreeMap<String, (f64, f64)>,
}

/// Makes traffic until the counters of every cluster grow, or the patience is used up.
pub async fn flows(
    run: &Run<'_>,
    federation: &Federation<'_>,
    clusters: &[ClusterName],
) -> Vec<Finding> {
    let sender = match sender(run).await {
        Ok(Some(sender)) => sender,
        Ok(None) => return vec![nobody()],
        Err(broken) => return vec![broken],
    };
    let patience = run.deadline.at_most(PATIENCE);
    let mut seen = Seen::default();
    let pod = ObjectId::new("Pod", NAMESPACE, &sender.pod);
    let waits = Waits::of(run, Hop::Traffic, &run.mesh.home.name, pod);
    let watching = watch(&sender, federation, clusters, &mut seen, waits);
    if let Ok(Err(broken)) = timeout(patience, watching).await {
        return vec![broken];
    }
    let metrics = clusters
        .iter()
        .map(|c| Finding::on(Hop::Metrics, c, seen.growth(c, patience)));
    std::iter::once(seen.answered(&sender, patience))
        .chain(metrics)
        .collect()
}

fn nobody() -> Finding {
    let why = format!(
        "no cluster has a ready pod with label {PODS} in namespace {NAMESPACE} to send from; --traffic none goes without"
    );
    Finding::untried(Hop::Traffic, None, Verdict::Unproven, why)
}

async fn sender<'a>(run: &Run<'a>) -> Result<Option<Sender<'a>>, Finding> {
    for cluster in run.mesh.all() {
        let scope = run.on(Step::AggregateMetrics, cluster);
        match pods::ready(&scope, NAMESPACE, PODS).await {
            Ok(Some(pod)) => return Ok(Some(Sender { scope, pod })),
            Ok(None) => {}
            Err(error) => {
                let error = Err(format!("{error:#}"));
                return Err(Finding::on(Hop::Traffic, &cluster.name, error));
            }
        }
    }
    Ok(None)
}

async fn watch(
    sender: &Sender<'_>,
    federation: &Federation<'_>,
    clusters: &[ClusterName],
    seen: &mut Seen,
    mut waits: Waits,
) -> Result<(), Finding> {
    let broken = |hop, error: anyhow::Error| {
        Finding::on(hop, &sender.scope.cluster.name, Err(format!("{error:#}")))
    };
    loop {
        let (said, bytes) = tokio::join!(request(sender), federation.by_cluster(RECEIVED));
        seen.answers
            .insert(said.map_err(|e| broken(Hop::Traffic, e))?);
        seen.requests += 1;
        for (cluster, bytes) in bytes.map_err(|e| broken(Hop::Metrics, e))? {
            let (first, last) = seen.bytes.entry(cluster).or_insert((bytes, bytes));
            // A ztunnel that starts again counts from 0.
            (*first, *last) = (first.min(bytes), bytes);
        }
        let missing = clusters.iter().filter(|c| seen.grown(c).is_none());
        let missing = missing.map(ToString::to_string).collect::<Vec<_>>();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join(", ");
        waits.says(format!(
            "sends requests; received bytes of {missing} do not grow yet"
        ));
        sleep(PAUSE).await;
    }
}

impl Seen {
    fn grown(&self, cluster: &ClusterName) -> Option<f64> {
        let (first, last) = self.bytes.get(cluster.as_str())?;
        Some(last - first).filter(|grown| *grown > 0.0)
    }

    fn answered(&self, sender: &Sender<'_>, patience: Duration) -> Finding {
        let seen = match self.requests {
            0 => Err(format!("no answer within {} s", patience.as_secs())),
            requests => Ok(format!(
                "{requests} requests answered: {}",
                self.answers.iter().cloned().collect::<Vec<_>>().join(", ")
            )),
        };
        Finding::on(Hop::Traffic, &sender.scope.cluster.name, seen)
    }

    fn growth(&self, cluster: &ClusterName, patience: Duration) -> Result<String, String> {
        let within = format!("within {} s of traffic", patience.as_secs());
        match (self.grown(cluster), self.bytes.get(cluster.as_str())) {
            (Some(grown), _) => Ok(format!("received bytes grew by {grown} B")),
            (None, None) => Err(format!("no received bytes {within}")),
            (None, Some((_, last))) => Err(format!("received bytes stayed at {last} B {within}")),
        }
    }
}

/// One request from the sample's client; its answer, without the pod's name.
async fn request(Sender { scope, pod }: &Sender<'_>) -> Result<String> {
    let command = ["curl", "-sS", URL];
    let output = pods::exec(scope, NAMESPACE, pod, CONTAINER, &command, ANSWER).await?;
    if !output.success {
        let cause = output
            .stderr
            .lines()
            .next()
            .unwrap_or("curl failed without a word");
        bail!("curl {URL} in Pod {NAMESPACE}/{pod}: {cause}");
    }
    let line = output.stdout.lines().next().unwrap_or_default();
    let version = line.split(',').next().unwrap_or_default();
    Ok(version.trim().to_string())
}
