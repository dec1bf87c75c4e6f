//! Sends traffic as the guide does, and checks that the federating Prometheus shows it: bytes in the metrics
//! of each cluster, and edges between the clusters.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep, timeout};

use super::flows::{Counter, Flows, QUERY, Reporter, bytes};
use super::report::WaitReporter;
use super::{Finding, Hop, Verdict, edges};
use crate::guide::Step;
use crate::k8s::{Scope, pods};
use crate::mesh::ClusterName;
use crate::progress::ObjectId;
use crate::run::Run;
use crate::steps::aggregate_metrics::Federation;
use crate::visible;

pub(super) const NAMESPACE: &str = "sample";
const PODS: &str = "app=curl";
const CONTAINER: &str = "curl";
const URL: &str = "helloworld.sample:5000/hello";
/// How long one scrape by a cluster's own Prometheus and two by the federating one may take after three intervals.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many intervals the receiver's metrics may lag behind the sender's after a failure.
const OTHER_END: u32 = 2;
const ANSWER: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_secs(1);
/// How curl's error starts if ztunnel accepted the connection and closed it.
const CLOSED: [&str; 2] = ["curl: (52)", "curl: (56)"];
/// How many characters of a pod's output are shown.
const SHOWN: usize = 200;
/// How many versions are shown.
const VERSIONS: usize = 20;

/// The pod of the sample that sends requests.
pub(super) struct Sender<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) pod: String,
}

#[derive(Default)]
struct Seen {
    requests: usize,
    /// The versions of helloworld that answered.
    answers: BTreeSet<String>,
    /// How many requests failed, and curl's error for the last one.
    failed: (usize, String),
    flows: Flows,
}

/// The result of a request.
pub(super) enum RequestResult {
    Answered(String),
    /// Closed by ztunnel, which counts it in the metrics.
    Closed(String),
    Failed(String),
}

/// Sends requests until the counters of every cluster grow, or the timeout expires.
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
    let interval = run.settings.metrics.interval;
    let patience = run.deadline.at_most(interval.times(3) + PATIENCE);
    let mut seen = Seen::default();
    let pod = ObjectId::new("Pod", NAMESPACE, &sender.pod);
    let waits = WaitReporter::of(run, Hop::Traffic, &run.mesh.home.name, pod);
    let lag = interval.times(OTHER_END);
    let watching = watch(&sender, federation, (clusters, lag), &mut seen, waits);
    if let Ok(Err(broken)) = timeout(patience, watching).await {
        return vec![broken];
    }
    let from = &sender.scope.cluster.name;
    let metrics = clusters.iter().map(|c| seen.metrics(from, c, patience));
    let edges = edges::judge(from, clusters, &seen.flows, patience);
    std::iter::once(seen.answered(from, patience))
        .chain(metrics)
        .chain(edges)
        .collect()
}

pub(super) fn nobody() -> Finding {
    let why = format!(
        "no cluster has a ready pod with label {PODS} in namespace {NAMESPACE} to send requests from; --traffic none skips this"
    );
    Finding::with_verdict(Hop::Traffic, None, Verdict::Unproven, why)
}

pub(super) async fn sender<'a>(run: &Run<'a>) -> Result<Option<Sender<'a>>, Finding> {
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
    (clusters, lag): (&[ClusterName], Duration),
    seen: &mut Seen,
    mut waits: WaitReporter,
) -> Result<(), Finding> {
    let from = &sender.scope.cluster.name;
    let broken = |hop, why| Finding::on(hop, from, Err(why));
    let unread = |error: anyhow::Error| broken(Hop::Metrics, format!("{error:#}"));
    let mut failed_since = None;
    loop {
        let (ended, samples) = tokio::join!(request(sender), federation.samples(QUERY));
        let ended = ended.map_err(|e| broken(Hop::Traffic, format!("{e:#}")))?;
        seen.requests += 1;
        match ended {
            RequestResult::Answered(version) if seen.answers.len() < VERSIONS => {
                seen.answers.insert(version);
            }
            RequestResult::Answered(_) => {}
            // The metrics show the reason a little later.
            RequestResult::Closed(why) => seen.failed = (seen.failed.0 + 1, why),
            RequestResult::Failed(why) => return Err(broken(Hop::Traffic, why)),
        }
        seen.flows.add(samples.map_err(unread)?).map_err(unread)?;
        let missing = seen.missing(from, clusters);
        let Some(missing) = missing.filter(|_| !edges::is_denied(from, clusters, &seen.flows))
        else {
            return Ok(());
        };
        waits.update(missing);
        if edges::have_failed(from, &seen.flows)
            && failed_since.get_or_insert_with(Instant::now).elapsed() > lag
        {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

impl Seen {
    /// What is still missing in the metrics; None if no request failed and nothing is missing.
    fn missing(&self, from: &ClusterName, clusters: &[ClusterName]) -> Option<String> {
        if self.failed.0 > 0 {
            let what = "requests fail; waiting for the reason in the metrics";
            return Some(what.into());
        }
        let silent = clusters.iter().filter(|c| self.grown(c).is_none());
        let silent = silent.map(ToString::to_string).collect::<Vec<_>>();
        if !silent.is_empty() {
            let silent = silent.join(", ");
            return Some(format!(
                "sending requests; received bytes of {silent} do not grow yet"
            ));
        }
        let whole = edges::are_reported(from, clusters, &self.flows);
        (!whole).then(|| {
            format!("sending requests; the metrics do not show both ends of those from {from} yet")
        })
    }

    /// The bytes that a cluster received, else those that it sent. Both ends report traffic inside a cluster, so
    /// only one end is counted.
    fn grown(&self, cluster: &ClusterName) -> Option<(f64, Reporter)> {
        let grown = |reporter| {
            let all = |_: &str, _: &str| true;
            let name = cluster.as_str();
            (
                self.flows.grown(Counter::Bytes, name, reporter, all),
                reporter,
            )
        };
        let mut ends = [Reporter::Destination, Reporter::Source].into_iter();
        ends.find_map(|end| Some(grown(end)).filter(|(grown, _)| *grown > 0.0))
    }

    fn counts_failures(&self, cluster: &ClusterName) -> bool {
        let mut ends = [Reporter::Destination, Reporter::Source].into_iter();
        ends.any(|end| {
            !self
                .flows
                .flags(cluster.as_str(), end, |_, _| true)
                .is_empty()
        })
    }

    fn answered(&self, from: &ClusterName, patience: Duration) -> Finding {
        let answers = || self.answers.iter().cloned().collect::<Vec<_>>().join(", ");
        let seen = match (self.requests, &self.failed) {
            (0, _) => Err(format!("no answer within {} s", patience.as_secs())),
            (requests, (0, _)) => Ok(format!("{requests} requests answered: {}", answers())),
            (requests, (failed, why)) => {
                Err(format!("{failed} of {requests} requests failed: {why}"))
            }
        };
        Finding::on(Hop::Traffic, from, seen)
    }

    fn metrics(&self, from: &ClusterName, cluster: &ClusterName, patience: Duration) -> Finding {
        let within = format!("within {} s of traffic", patience.as_secs());
        let last = |reporter| self.flows.last(cluster.as_str(), reporter);
        let last = last(Reporter::Destination).or_else(|| last(Reporter::Source));
        let seen = match (self.grown(cluster), last) {
            (Some((grown, Reporter::Destination)), _) => {
                Ok(format!("received bytes grew by {}", bytes(grown)))
            }
            (Some((grown, Reporter::Source)), _) => Ok(format!(
                "bytes of its own requests grew by {}",
                bytes(grown)
            )),
            (None, _) if self.counts_failures(cluster) => {
                Ok("no bytes were received, but failed connections are counted".into())
            }
            (None, _) if self.failed.0 > 0 && cluster != from => {
                let why = "no request reached it";
                return Finding::with_verdict(Hop::Metrics, Some(cluster), Verdict::Unproven, why);
            }
            (None, None) => Err(format!("no received bytes {within}")),
            (None, Some(last)) => Err(format!("received bytes stayed at {} {within}", bytes(last))),
        };
        Finding::on(Hop::Metrics, cluster, seen)
    }
}

/// Sends one request from the sample's client. The result omits the pod's name.
pub(super) async fn request(Sender { scope, pod }: &Sender<'_>) -> Result<RequestResult> {
    let command = ["curl", "-sS", URL];
    let output = pods::exec(scope, NAMESPACE, pod, CONTAINER, &command, ANSWER).await?;
    let short = |line| visible::short(line, SHOWN);
    if !output.success {
        let cause = output.stderr.lines().next();
        let cause = cause.unwrap_or("curl failed without output");
        let why = format!("curl {URL} in Pod {NAMESPACE}/{pod}: {}", short(cause));
        return Ok(match CLOSED.iter().any(|code| cause.starts_with(code)) {
            true => RequestResult::Closed(why),
            false => RequestResult::Failed(why),
        });
    }
    let line = output.stdout.lines().next().unwrap_or_default();
    let version = line.split(',').next().unwrap_or_default();
    Ok(RequestResult::Answered(short(version.trim()).into_owned()))
}
