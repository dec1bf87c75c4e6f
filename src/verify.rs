//! `verify`: § Verify federated Prometheus, and what the guide leaves to the eye. Each hop is proven
//! by itself, so that a failure names the one that broke.

mod exposure;
mod prometheus;
mod targets;
mod traffic;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use futures::future::{Either, select};
use std::pin::pin;

use self::prometheus::Federation;
use crate::guide::Step;
use crate::install::Run;
use crate::k8s::Scope;
use crate::k8s::health::Health;
use crate::mesh::ClusterName;
use crate::status;
use crate::steps::{kiali, remote_secret};

/// A remote that hangs makes Kiali hang with it, for a minute and more.
const ANSWER: Duration = Duration::from_secs(10);

/// A hop of the way from a ztunnel to Kiali's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    ApiServer,
    Components,
    ScrapeTarget,
    Exposure,
    RemoteAccess,
    Kiali,
    Traffic,
}

impl Hop {
    pub fn title(self) -> &'static str {
        match self {
            Hop::ApiServer => "api server",
            Hop::Components => "components",
            Hop::ScrapeTarget => "scrape target",
            Hop::Exposure => "exposure",
            Hop::RemoteAccess => "remote access",
            Hop::Kiali => "kiali",
            Hop::Traffic => "traffic",
        }
    }
}

/// One hop on one cluster: what was seen, or how it broke.
#[derive(Clone, Debug)]
pub struct Finding {
    pub hop: Hop,
    pub cluster: ClusterName,
    pub verdict: Result<String, String>,
}

impl Finding {
    pub fn new(hop: Hop, cluster: &ClusterName, verdict: Result<String, String>) -> Finding {
        Finding {
            hop,
            cluster: cluster.clone(),
            verdict,
        }
    }

    pub fn failed(&self) -> bool {
        self.verdict.is_err()
    }
}

/// All findings, in the order of the hops. `expected` are the clusters that Kiali must see, those
/// that do not answer here included.
pub async fn verify(run: &Run<'_>, expected: &[ClusterName], with_traffic: bool) -> Vec<Finding> {
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    let name = &home.cluster.name;
    let federation = Federation::find(&home).await;
    let (Ok(federation), true) = (&federation, with_traffic) else {
        let mut findings = hops(run, &home, federation.as_ref().ok(), expected).await;
        if with_traffic {
            findings.push(Finding::new(
                Hop::Traffic,
                name,
                Err("not proven: the federating Prometheus is not there".into()),
            ));
        } else {
            findings.push(Finding::new(Hop::Traffic, name, Ok("not asked for".into())));
        }
        return findings;
    };
    let hops = pin!(hops(run, &home, Some(federation), expected));
    let flows = pin!(traffic::flows(run, federation, expected));
    let (mut findings, flows) = match select(hops, flows).await {
        // A broken hop is the answer; what it does to the traffic only takes time to see.
        Either::Left((findings, _)) if findings.iter().any(Finding::failed) => (findings, None),
        Either::Left((findings, flows)) => (findings, Some(flows.await)),
        Either::Right((flows, findings)) => (findings.await, Some(flows)),
    };
    let verdict = match flows {
        None => Err("not proven: a hop before it is broken".into()),
        Some(Err(error)) => Err(format!("{error:#}")),
        Some(Ok(seen)) => Ok(flowed(&seen)),
    };
    findings.push(Finding::new(Hop::Traffic, name, verdict));
    findings
}

fn flowed(seen: &traffic::Seen) -> String {
    let answers = seen
        .answers
        .iter()
        .cloned()
        .collect::<Vec<_>>()
        .join(" and ");
    let grown = seen
        .grown
        .iter()
        .map(|(c, bytes)| format!("{c} +{bytes} B"))
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "{} requests, {answers}; received bytes grew: {grown}",
        seen.requests
    )
}

async fn hops(
    run: &Run<'_>,
    home: &Scope<'_>,
    federation: Option<&Federation<'_>>,
    expected: &[ClusterName],
) -> Vec<Finding> {
    let (components, targets, access, view) = tokio::join!(
        components(run),
        targets::targets(run, federation),
        access(home, expected),
        view(home, expected),
    );
    [components, targets, access, view].concat()
}

async fn components(run: &Run<'_>) -> Vec<Finding> {
    let rows = match status::status(run).await {
        Ok(rows) => rows,
        Err(error) => {
            return vec![Finding::new(
                Hop::Components,
                &run.mesh.home.name,
                Err(format!("{error:#}")),
            )];
        }
    };
    let of = |cluster: &ClusterName| {
        let rows = rows
            .iter()
            .filter(|r| r.cluster == *cluster)
            .collect::<Vec<_>>();
        let broken = rows.iter().filter_map(|row| match &row.component.health {
            Health::Ready => None,
            Health::InProgress(why) | Health::Failed(why) => {
                Some(format!("{}: {why}", row.component.object))
            }
        });
        let broken = broken.collect::<Vec<_>>();
        match broken.as_slice() {
            [] => Ok(format!("{} ready", rows.len())),
            broken => Err(broken.join("; ")),
        }
    };
    run.mesh
        .all()
        .map(|c| Finding::new(Hop::Components, &c.name, of(&c.name)))
        .collect()
}

/// Each kubeconfig that Kiali was given, used.
async fn access(home: &Scope<'_>, expected: &[ClusterName]) -> Vec<Finding> {
    let name = &home.cluster.name;
    let said: BTreeMap<_, _> = match remote_secret::answers(home, ANSWER).await {
        Ok(said) => said,
        Err(error) => {
            return vec![Finding::new(
                Hop::RemoteAccess,
                name,
                Err(format!("{error:#}")),
            )];
        }
    };
    let remotes = expected.iter().filter(|c| *c != name);
    remotes
        .map(|remote| {
            let verdict = match said.get(remote.as_str()) {
                Some(Ok(())) => Ok("Kiali's token works".into()),
                Some(Err(cause)) => {
                    Err(format!("Kiali's kubeconfig for it does not work: {cause}"))
                }
                None => Err(format!(
                    "Secret {}/{} on {name} has no kubeconfig for it",
                    home.namespace,
                    remote_secret::NAME
                )),
            };
            Finding::new(Hop::RemoteAccess, remote, verdict)
        })
        .collect()
}

async fn view(home: &Scope<'_>, expected: &[ClusterName]) -> Vec<Finding> {
    let verdict = match kiali::target(home).await {
        Err(error) => Err(format!("{error:#}")),
        Ok(None) => Err("no pod of Kiali is ready".into()),
        Ok(Some(target)) => match kiali::server::blind_spots(home, &target, expected, ANSWER)
            .await
            .as_slice()
        {
            [] => Ok(format!(
                "sees {}",
                expected
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
            spots => Err(spots.join("; ")),
        },
    };
    vec![Finding::new(Hop::Kiali, &home.cluster.name, verdict)]
}
