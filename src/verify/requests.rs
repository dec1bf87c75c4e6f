//! Sends requests from a pod, and counts who answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::probe::{Probe, Probes};
use crate::k8s::pods;
use crate::mesh::ClusterName;
use crate::visible;

/// Limit for the requests of one round.
const ANSWER: Duration = Duration::from_secs(15);
/// How the errors of curl and wget start if ztunnel accepted the connection and closed it.
const CLOSED: [&str; 3] = ["curl: (52)", "curl: (56)", "wget: error getting response"];
/// How many characters of a pod's output are shown.
const SHOWN: usize = 200;
/// How many rounds may fail without a reason that the series would tell.
const HOPELESS: usize = 3;

/// The result of one round.
pub struct Round {
    pub began: Instant,
    pub ended: Instant,
    pub sent: usize,
    /// A line for each answer.
    pub answers: Vec<String>,
    /// The first error, if a request failed.
    pub error: Option<Failure>,
}

pub struct Failure {
    pub why: String,
    /// Closed by ztunnel, which counts it in its metrics.
    pub closed: bool,
}

/// What became of the requests of one client.
#[derive(Default)]
pub struct Requests {
    pub sent: usize,
    answers: BTreeMap<ClusterName, Answers>,
    /// Answers of pods that are not known, and one of them.
    pub strangers: (usize, String),
    pub failed: usize,
    pub failed_since: Option<Instant>,
    /// The last error.
    pub why: String,
    /// Rounds in a row without an answer, whose errors no series explains.
    in_vain: usize,
}

/// The answers of one cluster.
#[derive(Default)]
struct Answers {
    count: usize,
    /// When each round with an answer began and ended.
    rounds: Vec<(Instant, Instant)>,
}

/// Sends this number of requests, one after the other.
pub async fn send(probe: &Probe<'_>, count: usize) -> Round {
    let began = Instant::now();
    let ran = run(probe, count).await;
    let (answers, error) = ran.unwrap_or_else(|error| {
        let failure = Failure {
            why: format!("{error:#}"),
            closed: false,
        };
        (Vec::new(), Some(failure))
    });
    Round {
        began,
        ended: Instant::now(),
        sent: count,
        answers,
        error,
    }
}

/// Returns the answers, and the first error.
async fn run(probe: &Probe<'_>, count: usize) -> Result<(Vec<String>, Option<Failure>)> {
    let Probe {
        scope,
        namespace,
        pod,
        container,
        command,
        url,
        ..
    } = probe;
    let urls = std::iter::repeat_n(url.as_str(), count);
    let command = command.iter().map(String::as_str).chain(urls);
    let command = command.collect::<Vec<_>>();
    let output = pods::exec(scope, namespace, pod, container, &command, ANSWER).await?;
    let lines = output.stdout.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty()).take(count);
    let answers = lines.map(|line| visible::short(line, SHOWN).into_owned());
    let answers = answers.collect::<Vec<_>>();
    let error = (!output.success || answers.len() < count).then(|| {
        let cause = output.stderr.lines().next();
        let cause = cause.unwrap_or("it failed without output");
        let program = command[0];
        Failure {
            why: format!(
                "{program} {url} in Pod {namespace}/{pod}: {}",
                visible::short(cause, SHOWN)
            ),
            closed: CLOSED.iter().any(|code| cause.starts_with(code)),
        }
    });
    Ok((answers, error))
}

impl Requests {
    /// `cluster` tells who gave an answer.
    pub fn add<'a>(&mut self, round: Round, cluster: impl Fn(&str) -> Option<&'a ClusterName>) {
        self.sent += round.sent;
        let failed = round.sent - round.answers.len();
        let span = (round.began, round.ended);
        for answer in &round.answers {
            match cluster(answer) {
                Some(name) => {
                    let known = self.answers.entry(name.clone()).or_default();
                    known.count += 1;
                    if known.rounds.last() != Some(&span) {
                        known.rounds.push(span);
                    }
                }
                None => self.strangers = (self.strangers.0 + 1, answer.clone()),
            }
        }
        self.in_vain = match &round.error {
            Some(error) if round.answers.is_empty() && !error.closed => self.in_vain + 1,
            _ => 0,
        };
        if let Some(error) = round.error {
            self.failed += failed.max(1);
            self.failed_since.get_or_insert_with(Instant::now);
            self.why = error.why;
        }
    }

    /// How many requests a cluster has answered.
    pub fn answered_by(&self, cluster: &ClusterName) -> usize {
        self.answers.get(cluster).map_or(0, |answers| answers.count)
    }

    /// For how long a cluster has been known to answer.
    pub fn answered_for(&self, cluster: &ClusterName) -> Option<Duration> {
        let (_, since) = self.answers.get(cluster)?.rounds.first()?;
        Some(since.elapsed())
    }

    /// Whether a cluster answered a round of which no part was before or after these moments.
    pub fn answered_between(&self, cluster: &ClusterName, begin: Instant, end: Instant) -> bool {
        let rounds = self.answers.get(cluster).map(|answers| &answers.rounds);
        let mut rounds = rounds.into_iter().flatten();
        rounds.any(|(began, ended)| *began >= begin && *ended <= end)
    }

    pub fn answered(&self) -> usize {
        let known = self.answers.values().map(|answers| answers.count);
        let known = known.sum::<usize>();
        known + self.strangers.0
    }

    pub fn is_hopeless(&self) -> bool {
        self.in_vain >= HOPELESS
    }
}

/// The cluster of the pod that answered.
pub fn cluster<'a>(
    answer: &str,
    probe: &Probe<'_>,
    probes: &'a Probes<'_>,
) -> Option<&'a ClusterName> {
    let instance = (probe.instance)(answer)?;
    let mut all = probes.iter();
    let found = all.find(|(_, ends)| {
        let servers = ends.servers.iter().flatten();
        servers
            .into_iter()
            .any(|server| server.instance == instance)
    });
    found.map(|(cluster, _)| cluster)
}
