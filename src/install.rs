//! `install`: the order of the guide and what may run at once, nothing else. The metrics and Kiali
//! are two branches that meet where a remote is given to Kiali.

mod left_out;
mod metrics;
mod view;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use tokio::sync::oneshot;

use crate::guide::Step;
use crate::images::Images;
use crate::k8s::apply::Before;
use crate::k8s::lease::Lease;
use crate::k8s::record::{self, Record};
use crate::k8s::seen::Seen;
use crate::k8s::{Choices, Deadline, Scope};
use crate::mesh::{Cluster, Mesh};
use crate::options::Options;
use crate::planned::planned;
use crate::progress::Events;
use crate::steps::namespaces;

pub use left_out::LeftOut;

/// What all steps of one run share.
#[derive(Clone)]
pub struct Run<'a> {
    pub mesh: &'a Mesh,
    pub namespace: &'a str,
    pub deadline: Deadline,
    pub events: Events,
    /// One for each cluster, in the mesh's order.
    pub records: &'a [Record],
    pub lease: &'a Lease,
    /// What the check found in each cluster, in the mesh's order; empty where nothing was checked.
    pub seen: &'a [Seen],
    /// Remotes that it does without.
    pub left_out: &'a LeftOut,
    pub choices: Choices,
    /// To be remembered.
    pub options: &'a Options,
    pub images: &'a Images,
}

impl<'a> Run<'a> {
    pub fn on(&self, step: Step, cluster: &'a Cluster) -> Scope<'a> {
        let progress = self.events.of(step, &cluster.name);
        let number = self.mesh.all().position(|other| other.uid == cluster.uid);
        let number = number.unwrap_or_default();
        Scope {
            cluster,
            record: &self.records[number],
            lease: self.lease,
            seen: self.seen.get(number),
            choices: self.choices,
            images: self.images,
            namespace: self.namespace,
            progress,
            deadline: self.deadline.sooner(step.budget()),
        }
    }

    pub fn is_home(&self, cluster: &Cluster) -> bool {
        cluster.uid == self.mesh.home.uid
    }

    /// None where a remote fails and the others go on.
    pub async fn unless_left_out<T>(
        &self,
        cluster: &Cluster,
        work: impl Future<Output = Result<T>>,
    ) -> Result<Option<T>> {
        match work.await {
            Ok(done) => Ok(Some(done)),
            Err(error) if self.choices.keep_going && !self.is_home(cluster) => {
                self.left_out.add(cluster, error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// A cluster that takes part, and whether an install begins or goes on there.
#[derive(Clone, Copy)]
struct Part<'a> {
    cluster: &'a Cluster,
    before: Before,
}

/// Runs one step, and says in an error which one and where.
pub async fn step<'a, T>(
    run: &Run<'a>,
    step: Step,
    cluster: &'a Cluster,
    work: impl AsyncFnOnce(Scope<'a>) -> Result<T>,
) -> Result<T> {
    let scope = run.on(step, cluster);
    let progress = scope.progress.clone();
    progress.started();
    work(scope)
        .await
        .inspect_err(|_| progress.failed())
        .with_context(|| step.to_string())
}

pub async fn install(run: &Run<'_>) -> Result<()> {
    let taking_part = run.mesh.all().filter(|c| !run.left_out.has(&c.name));
    let prepared = taking_part.map(|cluster| run.unless_left_out(cluster, part(run, cluster)));
    let parts = try_join_all(prepared).await?;
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    let (home, remotes) = parts.split_first().context("home takes part")?;
    let home_scope = run.on(Step::Namespace, home.cluster);
    if !run.left_out.is_empty() {
        home_scope
            .record
            .go_on_with(remotes.iter().map(|p| p.cluster));
    }
    record::choose(&home_scope, run.options).await?;
    let (scraping, scraped) = oneshot::channel();
    let (proven, accesses): (Vec<_>, Vec<_>) = remotes.iter().map(|_| oneshot::channel()).unzip();
    let proving = remotes.iter().zip(proven).map(|(remote, proven)| {
        run.unless_left_out(remote.cluster, view::remote_cluster(run, remote, proven))
    });
    tokio::try_join!(
        metrics::metrics(run, &parts, scraping),
        try_join_all(proving),
        view::kiali(run, home, scraped, accesses),
    )?;
    let recorded = parts.iter().map(|part| {
        let scope = run.on(Step::Namespace, part.cluster);
        run.unless_left_out(part.cluster, async move { record::finish(&scope).await })
    });
    try_join_all(recorded).await?;
    Ok(())
}

async fn part<'a>(run: &Run<'a>, cluster: &'a Cluster) -> Result<Part<'a>> {
    let before = step(run, Step::Namespace, cluster, async |scope| {
        namespaces::install(&scope).await
    })
    .await?;
    let planned = planned(run, cluster)?;
    let record = run.on(Step::Namespace, cluster).record;
    record.plan(planned.iter().map(|(_, object)| object));
    Ok(Part { cluster, before })
}
