//! `verify`: § Verify federated Prometheus, and what the guide checks by looking. Each hop is checked
//! separately, so that a failure names the broken one.

mod cell;
mod counters;
mod edges;
mod evidence;
mod exposure;
mod flow;
mod flows;
mod matrix;
pub mod own;
mod pages;
mod probe;
mod report;
mod requests;
mod rights;
mod store;
mod targets;
mod view;

use std::sync::OnceLock;

use serde::Serialize;

pub use self::flow::{Flow, FlowHop, Pairs};
pub use self::probe::{Kind as Probing, is_sample_everywhere, sample};
pub use self::report::report;
use self::report::report_all;
pub use self::store::once as asked_of_store;
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::Scope;
use crate::k8s::health::Health;
use crate::mesh::ClusterName;
pub use crate::progress::{Hop, Place, Verdict};
use crate::run::Run;
use crate::status::{self, Row};
use crate::steps::aggregate_metrics::Federation;

/// The result for one hop: what was seen, or what is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub hop: Hop,
    pub verdict: Verdict,
    /// For what `explain` says more about.
    pub code: Option<Code>,
    /// None if the finding is not about a single cluster.
    pub cluster: Option<ClusterName>,
    #[serde(rename = "message")]
    pub text: String,
}

impl Finding {
    pub fn on(hop: Hop, cluster: &ClusterName, seen: Result<String, String>) -> Finding {
        let (verdict, text) = match seen {
            Ok(text) => (Verdict::Holds, text),
            Err(text) => (Verdict::Broken, text),
        };
        Finding {
            hop,
            code: None,
            cluster: Some(cluster.clone()),
            verdict,
            text,
        }
    }

    fn with_verdict(
        hop: Hop,
        cluster: Option<&ClusterName>,
        verdict: Verdict,
        why: impl Into<String>,
    ) -> Finding {
        Finding {
            hop,
            code: None,
            cluster: cluster.cloned(),
            verdict,
            text: why.into(),
        }
    }
}

/// What was found out: the hops of the install, and the flows between the clusters.
pub struct Verified {
    /// In the order of the hops.
    pub findings: Vec<Finding>,
    pub flows: Vec<Flow>,
}

/// `expected` are the clusters that Kiali must see, including those that this machine cannot reach. Home is the first.
pub async fn verify(
    run: &Run<'_>,
    expected: &[ClusterName],
    probing: Probing<'_>,
    pairs: Pairs,
) -> Verified {
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    let federation = match run.settings.store {
        Some(_) => None,
        None => Some(Federation::find(&home).await),
    };
    let metrics = async {
        match (&run.settings.store, &federation) {
            (Some(store), _) => store::hops(run, store, expected).await,
            (None, Some(federation)) => targets::targets(run, federation, expected).await,
            (None, None) => Vec::new(),
        }
    };
    let known = OnceLock::new();
    // On the heap, like the steps of an install.
    let hops = Box::pin(async {
        let found = Box::pin(hops(run, &home, metrics, expected)).await;
        known.get_or_init(|| found).clone()
    });
    let flows = Box::pin(async {
        let probes = match probing {
            Probing::None => return (Vec::new(), vec![skipped(run)]),
            Probing::Sample => probe::sample(run).await,
            Probing::Own(placed) => probe::own(run, placed),
        };
        flows::flows(run, probes, federation.as_ref(), expected, pairs, &known).await
    });
    let (mut findings, (flows, more)) = tokio::join!(hops, flows);
    findings.extend(more);
    Verified { findings, flows }
}

fn skipped(run: &Run<'_>) -> Finding {
    let why = "disabled by --probes none";
    let finding = Finding::with_verdict(Hop::Flow, None, Verdict::Skipped, why);
    report(run, &finding);
    finding
}

async fn hops(
    run: &Run<'_>,
    home: &Scope<'_>,
    metrics: impl Future<Output = Vec<Finding>>,
    expected: &[ClusterName],
) -> Vec<Finding> {
    let name = &home.cluster.name;
    let reached = run.mesh.all().map(|cluster| &cluster.name);
    let remotes = expected.iter().filter(|c| *c != name);
    let (access, view) = (view::access(home, expected), view::view(home, expected));
    let (components, targets, access, rights, view) = tokio::join!(
        report_all(run, Hop::Components, reached, components(run)),
        metrics,
        report_all(run, Hop::RemoteAccess, remotes, access),
        report_all(run, Hop::Rights, expected, rights::rights(home, expected)),
        report_all(run, Hop::Kiali, [name], view),
    );
    [components, targets, access, rights, view].concat()
}

async fn components(run: &Run<'_>) -> Vec<Finding> {
    let rows = status::components(run).await;
    let of = |name: &ClusterName| {
        // The store has hops of its own.
        let rows = rows
            .iter()
            .filter(|row| row.component.object.kind != "Store");
        let rows = rows.filter(|row| row.cluster == *name);
        Finding::on(Hop::Components, name, all_ready(rows))
    };
    run.mesh.all().map(|cluster| of(&cluster.name)).collect()
}

fn all_ready<'a>(rows: impl Iterator<Item = &'a Row>) -> Result<String, String> {
    let (mut ready, mut broken) = (0, Vec::new());
    for row in rows {
        match &row.component.health {
            Health::Ready => ready += 1,
            Health::InProgress(why) | Health::Failed(why) => {
                broken.push(format!("{}: {why}", row.component.object));
            }
        }
    }
    match broken.as_slice() {
        [] => Ok(format!("{ready} ready")),
        broken => Err(broken.join("; ")),
    }
}
