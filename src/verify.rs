//! `verify`: § Verify federated Prometheus, and what the guide leaves to the eye. Each hop is proven
//! by itself, so that a failure names the one that broke.

mod edges;
mod exposure;
mod flows;
mod targets;
mod told;
mod traffic;
mod view;

use std::pin::pin;

use futures::future::{Either, select};

pub use self::told::tell;
use self::told::told_together;
use crate::guide::Step;
use crate::k8s::Scope;
use crate::k8s::health::Health;
use crate::mesh::ClusterName;
pub use crate::progress::{Hop, Verdict};
use crate::run::Run;
use crate::status::{self, Row};
use crate::steps::aggregate_metrics::Federation;

/// One hop and how it is: what was seen, or why not.
#[derive(Clone, Debug)]
pub struct Finding {
    pub hop: Hop,
    /// None: no single one.
    pub cluster: Option<ClusterName>,
    pub verdict: Verdict,
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
            cluster: Some(cluster.clone()),
            verdict,
            text,
        }
    }

    fn untried(
        hop: Hop,
        cluster: Option<&ClusterName>,
        verdict: Verdict,
        why: impl Into<String>,
    ) -> Finding {
        Finding {
            hop,
            cluster: cluster.cloned(),
            verdict,
            text: why.into(),
        }
    }
}

/// All findings, in the order of the hops. `expected` are the clusters that Kiali must see, those
/// that do not answer here included.
pub async fn verify(run: &Run<'_>, expected: &[ClusterName], with_traffic: bool) -> Vec<Finding> {
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    let federation = Federation::find(&home).await;
    let hops = hops(run, &home, &federation, expected);
    let untried = |verdict, why| {
        let finding = Finding::untried(Hop::Traffic, None, verdict, why);
        tell(run, &finding);
        vec![finding]
    };
    let (mut findings, traffic) = match &federation {
        _ if !with_traffic => (hops.await, untried(Verdict::Skipped, "not asked for")),
        Ok(federation) => {
            let flows = traffic::flows(run, federation, expected);
            let flows = told_together(run, Hop::Traffic, [&run.mesh.home.name], flows);
            with_flows(run, hops, flows).await
        }
        Err(_) => (
            hops.await,
            untried(Verdict::Unproven, "nothing would show it"),
        ),
    };
    findings.extend(traffic);
    findings
}

/// Traffic takes longer than the hops before it, and comes to nothing when one of them is broken.
async fn with_flows(
    run: &Run<'_>,
    hops: impl Future<Output = Vec<Finding>>,
    flows: impl Future<Output = Vec<Finding>>,
) -> (Vec<Finding>, Vec<Finding>) {
    let broken = |findings: &[Finding]| findings.iter().any(|f| f.verdict.fails());
    match select(pin!(hops), pin!(flows)).await {
        Either::Left((findings, _)) if broken(&findings) => {
            let why = "a hop before it is broken";
            let untried = Finding::untried(Hop::Traffic, None, Verdict::Unproven, why);
            tell(run, &untried);
            (findings, vec![untried])
        }
        Either::Left((findings, flows)) => (findings, flows.await),
        Either::Right((seen, hops)) => (hops.await, seen),
    }
}

async fn hops(
    run: &Run<'_>,
    home: &Scope<'_>,
    federation: &anyhow::Result<Federation<'_>>,
    expected: &[ClusterName],
) -> Vec<Finding> {
    let name = &home.cluster.name;
    let reached = run.mesh.all().map(|cluster| &cluster.name);
    let remotes = expected.iter().filter(|c| *c != name);
    let (access, view) = (view::access(home, expected), view::view(home, expected));
    let (components, targets, access, view) = tokio::join!(
        told_together(run, Hop::Components, reached, components(run)),
        targets::targets(run, federation, expected),
        told_together(run, Hop::RemoteAccess, remotes, access),
        told_together(run, Hop::Kiali, [name], view),
    );
    [components, targets, access, view].concat()
}

async fn components(run: &Run<'_>) -> Vec<Finding> {
    let rows = status::components(run).await;
    let of = |name: &ClusterName| {
        let rows = rows.iter().filter(|row| row.cluster == *name);
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
