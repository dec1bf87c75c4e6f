//! `verify`: § Verify federated Prometheus, and what the guide checks by looking. Each hop is checked
//! separately, so that a failure names the broken one.

mod edges;
mod exposure;
mod flows;
pub mod own;
mod report;
mod rights;
mod store;
mod targets;
mod traffic;
mod view;

use std::pin::pin;

use futures::future::{Either, select};
use serde::Serialize;

pub use self::report::report;
use self::report::report_all;
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::Scope;
use crate::k8s::health::Health;
use crate::mesh::ClusterName;
pub use crate::progress::{Hop, Verdict};
use crate::run::Run;
use crate::status::{self, Row};
use crate::steps::aggregate_metrics::Federation;
use crate::store::Store;

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

/// Returns all findings in the order of the hops. `expected` are the clusters that Kiali must see, including
/// those that this machine cannot reach.
pub async fn verify(run: &Run<'_>, expected: &[ClusterName], with_traffic: bool) -> Vec<Finding> {
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    if let Some(store) = &run.settings.store {
        return of_store(run, &home, store, expected, with_traffic).await;
    }
    let federation = Federation::find(&home).await;
    // On the heap, like the steps of an install.
    let metrics = targets::targets(run, &federation, expected);
    let hops = Box::pin(hops(run, &home, metrics, expected));
    let skipped = |verdict, why| skipped(run, verdict, why);
    let (mut findings, traffic) = match &federation {
        _ if !with_traffic => (
            hops.await,
            skipped(Verdict::Skipped, "disabled by --traffic none"),
        ),
        Ok(federation) => {
            let flows = traffic::flows(run, federation, expected);
            let flows = report_all(run, Hop::Traffic, [&run.mesh.home.name], flows);
            with_flows(run, hops, flows).await
        }
        Err(_) => (
            hops.await,
            skipped(
                Verdict::Unproven,
                "no federating Prometheus to read it from",
            ),
        ),
    };
    findings.extend(traffic);
    findings
}

fn skipped(run: &Run<'_>, verdict: Verdict, why: &str) -> Vec<Finding> {
    let finding = Finding::with_verdict(Hop::Traffic, None, verdict, why);
    report(run, &finding);
    vec![finding]
}

/// The same with the user's store in place of the federation.
async fn of_store(
    run: &Run<'_>,
    home: &Scope<'_>,
    store: &Store,
    expected: &[ClusterName],
    with_traffic: bool,
) -> Vec<Finding> {
    let metrics = store::hops(run, store, expected);
    let hops = Box::pin(hops(run, home, metrics, expected));
    let (mut findings, traffic) = match with_traffic {
        false => (
            hops.await,
            skipped(run, Verdict::Skipped, "disabled by --traffic none"),
        ),
        true => {
            let flows = store::flows(run, store, expected);
            let flows = report_all(run, Hop::Traffic, [&run.mesh.home.name], flows);
            with_flows(run, hops, flows).await
        }
    };
    findings.extend(traffic);
    findings
}

/// Runs the hops and the traffic concurrently. Traffic takes longer, so it is dropped if a hop is broken.
async fn with_flows(
    run: &Run<'_>,
    hops: impl Future<Output = Vec<Finding>>,
    flows: impl Future<Output = Vec<Finding>>,
) -> (Vec<Finding>, Vec<Finding>) {
    let broken = |findings: &[Finding]| findings.iter().any(|f| f.verdict.fails());
    match select(pin!(hops), pin!(flows)).await {
        Either::Left((findings, _)) if broken(&findings) => {
            let why = "a previous hop is broken";
            let skipped = Finding::with_verdict(Hop::Traffic, None, Verdict::Unproven, why);
            report(run, &skipped);
            (findings, vec![skipped])
        }
        Either::Left((findings, flows)) => (findings, flows.await),
        Either::Right((seen, hops)) => (hops.await, seen),
    }
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
