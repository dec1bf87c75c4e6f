//! What all steps of one run share.

mod left_out;

use anyhow::{Context, Result};
use futures::future::join_all;

use crate::deadline::Deadline;
use crate::guide::Step;
use crate::k8s::lease::Lease;
use crate::k8s::record::Record;
use crate::k8s::seen::Seen;
use crate::k8s::{Choices, Scope};
use crate::mesh::{Cluster, Mesh};
use crate::options::Options;
use crate::progress::Events;
use crate::settings::Settings;

pub use left_out::LeftOut;

/// What all steps of one run share.
#[derive(Clone)]
pub struct Run<'a> {
    pub mesh: &'a Mesh,
    pub namespace: &'a str,
    pub deadline: Deadline,
    pub events: Events,
    /// One for each cluster, in the order of the mesh.
    pub records: &'a [Record],
    pub lease: &'a Lease,
    /// The objects as the check found them in each cluster, in the order of the mesh; empty without a check.
    pub seen: &'a [Seen],
    /// Remotes that the run continues without.
    pub left_out: &'a LeftOut,
    pub choices: Choices,
    /// The options that the record keeps.
    pub options: &'a Options,
    pub settings: &'a Settings,
}

impl<'a> Run<'a> {
    pub fn on(&self, step: Step, cluster: &'a Cluster) -> Scope<'a> {
        let progress = self.events.of(step, &cluster.name);
        let number = self.mesh.all().position(|other| other.uid == cluster.uid);
        // Each cluster has its own record. With another record, the wrong objects would be deleted.
        let number = number.expect("a cluster of the mesh of this run");
        Scope {
            cluster,
            record: &self.records[number],
            lease: self.lease,
            seen: self.seen.get(number),
            choices: self.choices,
            settings: self.settings,
            namespace: self.namespace,
            progress,
            deadline: self.deadline.sooner(step.budget()),
        }
    }

    pub fn is_home(&self, cluster: &Cluster) -> bool {
        cluster.uid == self.mesh.home.uid
    }

    /// Returns None if a remote fails and the run continues without it.
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

/// Runs one step on one cluster, and adds both to its error.
pub async fn step<'a, T>(
    run: &Run<'a>,
    step: Step,
    cluster: &'a Cluster,
    work: impl AsyncFnOnce(Scope<'a>) -> Result<T>,
) -> Result<T> {
    let scope = run.on(step, cluster);
    let progress = scope.progress.clone();
    progress.started();
    // On the heap: the futures of an install that hold many steps would overflow the stack.
    Box::pin(work(scope))
        .await
        .inspect_err(|_| progress.failed())
        .with_context(|| step.to_string())
}

/// Waits for the same on all clusters. The error is that of the first cluster with one, whichever failed first.
pub async fn on_all<T>(
    clusters: impl IntoIterator<Item = impl Future<Output = Result<T>>>,
) -> Result<Vec<T>> {
    join_all(clusters).await.into_iter().collect()
}
