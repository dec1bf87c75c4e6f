//! Each finding is told as soon as it is there: the whole takes as long as two scrapes, or traffic.

use super::{Finding, Hop};
use crate::mesh::ClusterName;
use crate::progress::{HopProgress, ObjectId};
use crate::run::Run;

/// What keeps a hop from its end, told when it changes.
pub struct Waits {
    progress: HopProgress,
    object: ObjectId,
    told: String,
}

impl Waits {
    pub fn of(run: &Run<'_>, hop: Hop, cluster: &ClusterName, object: ObjectId) -> Waits {
        Waits {
            progress: run.events.of_hop(hop, cluster),
            object,
            told: String::new(),
        }
    }

    pub fn says(&mut self, reason: String) {
        if self.told != reason {
            self.progress.waiting(&self.object, &reason);
            self.told = reason;
        }
    }
}

/// One hop of one cluster.
pub async fn told(
    run: &Run<'_>,
    hop: Hop,
    cluster: &ClusterName,
    work: impl Future<Output = Finding>,
) -> Finding {
    run.events.of_hop(hop, cluster).started();
    let finding = work.await;
    tell(run, &finding);
    finding
}

/// What is known of several clusters together, by one work that is shown beside these.
pub async fn told_together<'a>(
    run: &Run<'_>,
    hop: Hop,
    clusters: impl IntoIterator<Item = &'a ClusterName>,
    work: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    let clusters = clusters.into_iter().collect::<Vec<_>>();
    let progress = |cluster| run.events.of_hop(hop, cluster);
    clusters.iter().for_each(|c| progress(c).started());
    let findings = work.await;
    findings.iter().for_each(|finding| tell(run, finding));
    let is_of = |f: &Finding, c: &ClusterName| f.hop == hop && f.cluster.as_ref() == Some(c);
    // Nothing is said of these by themselves.
    let silent = clusters
        .iter()
        .filter(|c| !findings.iter().any(|f| is_of(f, c)));
    silent.for_each(|c| progress(c).ended());
    findings
}

/// One that is of no single cluster is told beside home's.
pub fn tell(run: &Run<'_>, finding: &Finding) {
    let cluster = finding.cluster.as_ref().unwrap_or(&run.mesh.home.name);
    let progress = run.events.of_hop(finding.hop, cluster);
    progress.found(finding.verdict, &finding.text);
}
