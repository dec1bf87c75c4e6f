//! What is known. Each source is a value of its own: what it told, or why it could not be asked. Nothing is judged here.

mod cluster;
mod home;
mod metrics;
mod workloads;

use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;

pub use cluster::{ClusterEvidence, Namespace, Token};
pub use home::{Home, Sight};
#[cfg(test)]
pub use metrics::Server;
pub use metrics::{Flow, Metrics, Reporter, Traffic};
#[cfg(test)]
pub use workloads::Redirection;
pub use workloads::{Effect, LeftOut, Policy, REDIRECTED, Service};

use super::{Question, WHOLE};
use crate::check;
use crate::mesh::{Absent, Cluster, ClusterName};
use crate::problem;
use crate::run::Run;
use crate::shell::quoted;
use crate::{status, verify};

/// What a source told, or why it could not be asked.
pub type Known<T> = Result<T, String>;

/// All that was gathered.
pub struct Evidence {
    pub question: Question,
    /// The namespace of Kiali.
    pub namespace: String,
    /// Whether the metrics go to a store of the user's.
    pub has_store: bool,
    /// The time between two scrapes.
    pub interval: Duration,
    /// Those that answer, home first.
    pub clusters: Vec<ClusterEvidence>,
    /// Those that do not answer this machine or were not named, and why.
    pub absent: Vec<(ClusterName, String)>,
    /// The federating Prometheus.
    pub metrics: Known<Metrics>,
    /// What runs on home.
    pub home: Home,
    /// What a store of the user's has of each cluster; none without a store.
    pub stored: Known<Vec<verify::Finding>>,
    /// The command that installs again.
    pub install: String,
}

pub async fn gather(run: &Run<'_>, absent: &[Absent], question: &Question) -> Evidence {
    let all = run.mesh.all().collect::<Vec<_>>();
    let absent = unknown(run, absent);
    let names = all.iter().map(|one| &one.name);
    let names = names.chain(absent.iter().map(|(name, _)| name));
    let names = names.cloned().collect::<Vec<_>>();
    let (mut clusters, metrics, home, stored, findings, rows, tokens) = tokio::join!(
        join_all(all.iter().map(|cluster| cluster::gather(run, cluster))),
        in_time(metrics::gather(run, question)),
        home::gather(run, &names),
        in_time(stored(run, &names)),
        in_time(async { Ok(check::of_mesh(run).await) }),
        in_time(async { Ok(status::components(run).await) }),
        in_time(cluster::tokens(run)),
    );
    let found = all.iter().zip(0..).zip(&mut clusters);
    for ((cluster, index), known) in found {
        known.findings = match &findings {
            Ok(all) => all.get(index).cloned().unwrap_or_else(|| Ok(Vec::new())),
            Err(why) => Err(why.clone()),
        };
        known.rows = rows.clone().map(|rows| {
            let of_it = rows.into_iter().filter(|row| row.cluster == cluster.name);
            of_it.collect()
        });
        known.token = match &tokens {
            Ok(tokens) => tokens.get(cluster.name.as_str()).cloned(),
            Err(why) => Some(Err(why.clone())),
        };
        if run.is_home(cluster) {
            known.token = None;
        }
    }
    Evidence {
        question: question.clone(),
        namespace: run.namespace.into(),
        has_store: run.settings.store.is_some(),
        interval: run.settings.metrics.interval.duration(),
        clusters,
        absent,
        metrics,
        home,
        stored,
        install: install(&all),
    }
}

async fn stored(run: &Run<'_>, clusters: &[ClusterName]) -> Known<Vec<verify::Finding>> {
    let Some(store) = &run.settings.store else {
        return Ok(Vec::new());
    };
    let asked = verify::asked_of_store(run, store, clusters).await;
    asked.map_err(|error| format!("what the store has was not asked: {error:#}"))
}

impl Evidence {
    pub fn home_cluster(&self) -> Option<&ClusterEvidence> {
        self.clusters.first()
    }

    /// The names of all clusters of the install, also of those that do not answer.
    pub fn names(&self) -> impl Iterator<Item = &ClusterName> {
        let absent = self.absent.iter().map(|(name, _)| name);
        self.clusters.iter().map(|one| &one.name).chain(absent)
    }

    /// The window as in "5m" or "90s".
    pub fn window(&self) -> String {
        match self.question.window.as_secs() {
            seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
            seconds => format!("{seconds}s"),
        }
    }
}

/// The clusters of which only the metrics tell.
fn unknown(run: &Run<'_>, absent: &[Absent]) -> Vec<(ClusterName, String)> {
    let mut unknown = absent
        .iter()
        .map(|one| (one.name.clone(), format!("{:#}", one.error)))
        .collect::<Vec<_>>();
    for (name, _) in run.records[0].remotes() {
        let mut named = run.mesh.all().map(|cluster| &cluster.name);
        let mut known = unknown.iter().map(|(name, _)| name);
        if !named.any(|one| *one == name) && !known.any(|one| *one == name) {
            let why = "it is a remote of this install, but was not named";
            unknown.push((name, why.into()));
        }
    }
    unknown
}

fn install(all: &[&Cluster]) -> String {
    let flags = all.iter().zip(1..);
    let flags = flags.map(|(one, number)| format!(" --ctx{number} {}", quoted(&one.context)));
    format!("ambikiali install{}", flags.collect::<String>())
}

/// Bounds a source. Each of its requests has a deadline too; this is for what they add up to.
async fn in_time<T>(asked: impl Future<Output = Known<T>>) -> Known<T> {
    // On the heap: together they would be too large for the stack.
    let answered = timeout(WHOLE, Box::pin(asked)).await;
    answered.unwrap_or_else(|_| Err(problem::no_answer(WHOLE)))
}
