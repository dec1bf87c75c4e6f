//! Checks the hops of an install with a store: that each cluster's Prometheus writes to it, that it answers Kiali, and
//! that Kiali's graph has the traffic between the clusters.

mod asked;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::report::{WaitReporter, report_all, report_one};
use super::traffic::{self, RequestResult, Sender};
use super::{Finding, Hop, Verdict};
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::mesh::ClusterName;
use crate::progress::ObjectId;
use crate::run::Run;
use crate::steps::cluster_prometheus::{self, remote_write};
use crate::steps::kiali;
use crate::store::Store;

/// A scrape, a batch, the time for which a store hides new samples, and the minute of Kiali's graph.
const PATIENCE: Duration = Duration::from_secs(120);
const ANSWER: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

/// A finding for each cluster, and one for Kiali.
pub async fn hops(run: &Run<'_>, store: &Store, expected: &[ClusterName]) -> Vec<Finding> {
    let written = expected
        .iter()
        .map(|cluster| report_one(run, Hop::RemoteWrite, cluster, written(run, store, cluster)));
    let home = &run.mesh.home.name;
    let queried = report_one(run, Hop::Store, home, queried(run, store));
    let asked = report_all(
        run,
        Hop::Store,
        expected,
        asked::asked(run, store, expected),
    );
    let (mut findings, queried, asked) = tokio::join!(join_all(written), queried, asked);
    findings.push(queried);
    findings.extend(asked);
    findings
}

async fn written(run: &Run<'_>, store: &Store, name: &ClusterName) -> Finding {
    let finding =
        |verdict, why: &str| Finding::with_verdict(Hop::RemoteWrite, Some(name), verdict, why);
    let Some(cluster) = run.mesh.all().find(|c| c.name == *name) else {
        return finding(Verdict::Unproven, "this machine does not reach it");
    };
    let scope = run.on(Step::RemoteWrite, cluster);
    if cluster.prometheus.is_some() || !cluster_prometheus::is_own(&scope).await {
        let why = "its Prometheus is not managed by ambikiali";
        return finding(Verdict::Skipped, why);
    }
    let sent = async {
        let before = remote_write::counters(&scope).await;
        let before = before.map_err(|error| format!("{error:#}"))?;
        remote_write::sends(&scope, before).await
    };
    let text = format!("writes to {}", store.write_url);
    match sent.await.map(|now| now.refused()) {
        Ok(None) => Finding::on(Hop::RemoteWrite, name, Ok(text)),
        Ok(Some(refused)) => Finding {
            code: Some(Code::SamplesRefused),
            ..Finding::on(Hop::RemoteWrite, name, Ok(format!("{text}, but {refused}")))
        },
        Err(why) => Finding {
            code: Some(Code::NotWritten),
            ..Finding::on(
                Hop::RemoteWrite,
                name,
                Err(format!("does not write to {}: {why}", store.write_url)),
            )
        },
    }
}

async fn queried(run: &Run<'_>, store: &Store) -> Finding {
    let home = run.on(Step::Kiali, &run.mesh.home);
    let name = &run.mesh.home.name;
    let looked = kiali::status_of_store(&home).await;
    let health = looked.into_iter().next().map(|component| component.health);
    if let Some(Health::InProgress(why) | Health::Failed(why)) = health {
        return Finding {
            code: Some(Code::NotQueried),
            ..Finding::on(Hop::Store, name, Err(format!("{}: {why}", store.url)))
        };
    }
    if run.settings.login.is_some() {
        let why = format!(
            "Kiali names {} among its services; whether it answers queries is not tried behind a login",
            store.url
        );
        return Finding::with_verdict(Hop::Store, Some(name), Verdict::Skipped, why);
    }
    let told = match kiali::target(&home).await {
        Ok(Some(target)) => kiali::store::mismatch(&home, &target, store, ANSWER).await,
        _ => None,
    };
    let text = format!("{} answers Kiali", store.url);
    match told {
        None => Finding::on(Hop::Store, name, Ok(text)),
        Some(told) => Finding {
            code: Some(Code::OtherEngine),
            ..Finding::on(Hop::Store, name, Ok(format!("{text}, but {told}")))
        },
    }
}

/// Sends requests until Kiali's graph has edges to the other clusters, or the time is over.
pub async fn flows(run: &Run<'_>, store: &Store, clusters: &[ClusterName]) -> Vec<Finding> {
    let home = &run.mesh.home.name;
    if run.settings.login.is_some() {
        let why = "Kiali shows its graph only after a login";
        return vec![Finding::with_verdict(
            Hop::Edge,
            Some(home),
            Verdict::Skipped,
            why,
        )];
    }
    let sender = match traffic::sender(run).await {
        Ok(Some(sender)) => sender,
        Ok(None) => return vec![traffic::nobody()],
        Err(broken) => return vec![broken],
    };
    let from = &sender.scope.cluster.name;
    let others = clusters.iter().filter(|to| *to != from);
    let others = others.collect::<Vec<_>>();
    let pod = ObjectId::new("Pod", traffic::NAMESPACE, &sender.pod);
    let mut waits = WaitReporter::of(run, Hop::Traffic, home, pod);
    let window = kiali::store::window(run.settings.metrics.interval);
    let patience = PATIENCE.max(window + Duration::from_secs(60));
    let (begin, patience) = (Instant::now(), run.deadline.at_most(patience));
    let mut seen = Seen::default();
    loop {
        if let Err(why) = ask(run, &sender, &mut seen).await {
            return vec![Finding::on(Hop::Traffic, from, Err(why))];
        }
        let missing = others.iter().filter(|to| !seen.has_edge(from, to));
        let missing = missing.map(ToString::to_string).collect::<Vec<_>>();
        if missing.is_empty() || begin.elapsed() > patience {
            break;
        }
        waits.update(format!(
            "sending requests; Kiali's graph has no edge from {from} to {} yet",
            missing.join(", ")
        ));
        sleep(PAUSE).await;
    }
    let edge = |to: &&ClusterName| seen.edge(from, to, store, patience);
    let edges = others.iter().map(edge);
    std::iter::once(seen.answered(from)).chain(edges).collect()
}

#[derive(Default)]
struct Seen {
    requests: usize,
    answers: BTreeSet<String>,
    failed: Option<String>,
    edges: BTreeSet<(String, String)>,
    /// Why the last graph could not be read.
    unread: Option<String>,
}

async fn ask(run: &Run<'_>, sender: &Sender<'_>, seen: &mut Seen) -> Result<(), String> {
    let home = run.on(Step::Kiali, &run.mesh.home);
    let graph = async {
        let target = kiali::target(&home).await?;
        let target = target.ok_or_else(|| anyhow::anyhow!("no pod of Kiali is ready"))?;
        kiali::store::edges(&home, &target, traffic::NAMESPACE, ANSWER).await
    };
    let (ended, graph) = tokio::join!(traffic::request(sender), graph);
    seen.requests += 1;
    match ended.map_err(|error| format!("{error:#}"))? {
        RequestResult::Answered(version) => {
            seen.answers.insert(version);
        }
        RequestResult::Closed(why) => seen.failed = Some(why),
        RequestResult::Failed(why) => return Err(why),
    }
    match graph {
        Ok(edges) => {
            seen.edges.extend(edges);
            seen.unread = None;
        }
        Err(error) => seen.unread = Some(format!("{error:#}")),
    }
    Ok(())
}

impl Seen {
    fn has_edge(&self, from: &ClusterName, to: &ClusterName) -> bool {
        self.edges.contains(&(from.to_string(), to.to_string()))
    }

    fn answered(&self, from: &ClusterName) -> Finding {
        let answers = self.answers.iter().cloned().collect::<Vec<_>>().join(", ");
        let seen = match &self.failed {
            None => Ok(format!("{} requests answered: {answers}", self.requests)),
            Some(why) => Err(format!("requests fail: {why}")),
        };
        Finding::on(Hop::Traffic, from, seen)
    }

    fn edge(
        &self,
        from: &ClusterName,
        to: &ClusterName,
        store: &Store,
        patience: Duration,
    ) -> Finding {
        if self.has_edge(from, to) {
            let text = format!("Kiali's graph has traffic from {from}");
            return Finding::on(Hop::Edge, to, Ok(text));
        }
        let within = patience.as_secs();
        let why = match &self.unread {
            Some(error) => format!("Kiali's graph cannot be read: {error}"),
            None => format!(
                "Kiali's graph has no traffic from {from} within {within} s{}",
                silent(store)
            ),
        };
        Finding::on(Hop::Edge, to, Err(why))
    }
}

/// What may keep traffic out of a store that takes samples and answers queries.
fn silent(store: &Store) -> String {
    let offset = match store.engine.offset() {
        0 => String::new(),
        seconds => format!("; a store of this kind hides the newest {seconds} s"),
    };
    let labels = store.engine.most_labels().map(|most| {
        let beyond = store.engine.beyond();
        format!("; of a series with more than {most} labels, it {beyond} (AK1461)")
    });
    format!("{offset}{}", labels.unwrap_or_default())
}
