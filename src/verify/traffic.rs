//! Traffic as the guide makes it, and its bytes in the federating Prometheus. Only growth counts:
//! a counter of yesterday proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::prometheus::Federation;
use crate::guide::Step;
use crate::install::Run;
use crate::k8s::{Scope, pods};
use crate::mesh::ClusterName;

const NAMESPACE: &str = "sample";
const PODS: &str = "app=curl";
const CONTAINER: &str = "curl";
const URL: &str = "helloworld.sample:5000/hello";
/// Bytes that reached the sample app, as ztunnels reported them, for each cluster that reported.
const RECEIVED: &str =
    r#"sum by (cluster) (istio_tcp_received_bytes_total{destination_workload_namespace="sample"})"#;
/// One scrape of a cluster's own Prometheus and two of the federating one, 15 s each, and some air.
const PATIENCE: Duration = Duration::from_secs(75);
const PAUSE: Duration = Duration::from_secs(1);

/// What was seen: which versions answered, and in which clusters the counters grew.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: usize,
    pub answers: BTreeSet<String>,
    pub grown: BTreeMap<String, f64>,
}

/// Makes traffic until the counters of every cluster grow, or the patience is used up.
pub async fn flows(
    run: &Run<'_>,
    federation: &Federation<'_>,
    clusters: &[ClusterName],
) -> Result<Seen> {
    let mut client = None;
    for cluster in run.mesh.all() {
        let scope = run.on(Step::AggregateMetrics, cluster);
        if let Some(pod) = pods::ready(&scope, NAMESPACE, PODS).await? {
            client = Some((scope, pod));
            break;
        }
    }
    let Some((scope, pod)) = client else {
        bail!(
            "not proven: no cluster has a ready pod with label {PODS} in namespace {NAMESPACE} to send from"
        );
    };
    let end = Instant::now() + run.deadline.at_most(PATIENCE);
    let mut first: BTreeMap<String, f64> = BTreeMap::new();
    let mut seen = Seen::default();
    while Instant::now() < end {
        let (said, bytes) = tokio::join!(request(&scope, &pod), federation.by_cluster(RECEIVED));
        seen.requests += 1;
        seen.answers.insert(said?);
        for (cluster, bytes) in bytes? {
            let before = *first.entry(cluster.clone()).or_insert(bytes);
            if bytes > before {
                seen.grown.insert(cluster, bytes - before);
            }
        }
        if clusters.iter().all(|c| seen.grown.contains_key(c.as_str())) {
            return Ok(seen);
        }
        tokio::time::sleep(PAUSE).await;
    }
    let standing = clusters
        .iter()
        .filter(|c| !seen.grown.contains_key(c.as_str()));
    let standing = standing
        .map(|c| format!("{c} ({})", history(first.get(c.as_str()))))
        .collect::<Vec<_>>();
    bail!(
        "{} requests were answered ({}), but istio_tcp_received_bytes_total did not grow within {} s for {}",
        seen.requests,
        seen.answers.iter().cloned().collect::<Vec<_>>().join(", "),
        PATIENCE.as_secs(),
        standing.join(", ")
    )
}

fn history(first: Option<&f64>) -> String {
    match first {
        None => "no series at all".into(),
        Some(bytes) => format!("stands at {bytes}"),
    }
}

/// One request from the sample's client; its answer, without the pod's name.
async fn request(scope: &Scope<'_>, pod: &str) -> Result<String> {
    let command = ["curl", "-sS", URL];
    let output = pods::exec(
        scope,
        NAMESPACE,
        pod,
        CONTAINER,
        &command,
        Duration::from_secs(15),
    )
    .await?;
    if !output.success {
        let cause = output
            .stderr
            .lines()
            .next()
            .unwrap_or("curl failed without a word");
        bail!(
            "{}: curl {URL} in Pod {NAMESPACE}/{pod}: {cause}",
            scope.cluster.name
        );
    }
    let line = output.stdout.lines().next().unwrap_or_default();
    Ok(line
        .split(',')
        .next()
        .unwrap_or_default()
        .trim()
        .to_string())
}
