//! Reports each finding as soon as it is known, because the whole run takes as long as two scrapes or more.

use super::{Finding, Hop};
use crate::mesh::ClusterName;
use crate::progress::{HopProgress, ObjectId};
use crate::run::Run;

/// Reports the reason that a hop waits for, whenever it changes.
pub struct WaitReporter {
    progress: HopProgress,
    object: ObjectId,
    reported: String,
}

impl WaitReporter {
    pub fn of(run: &Run<'_>, hop: Hop, cluster: &ClusterName, object: ObjectId) -> WaitReporter {
        WaitReporter {
            progress: run.events.of_hop(hop, cluster),
            object,
            reported: String::new(),
        }
    }

    pub fn update(&mut self, reason: String) {
        if self.reported != reason {
            self.progress.waiting(&self.object, &reason);
            self.reported = reason;
        }
    }
}

/// Runs the check of one hop on one cluster and reports its finding.
pub async fn report_one(
    run: &Run<'_>,
    hop: Hop,
    cluster: &ClusterName,
    work: impl Future<Output = Finding>,
) -> Finding {
    run.events.of_hop(hop, cluster).started();
    let finding = work.await;
    report(run, &finding);
    finding
}

/// Runs one check that covers several clusters and reports its findings.
pub async fn report_all<'a>(
    run: &Run<'_>,
    hop: Hop,
    clusters: impl IntoIterator<Item = &'a ClusterName>,
    work: impl Future<Output = Vec<Finding>>,
) -> Vec<Finding> {
    let clusters = clusters.into_iter().collect::<Vec<_>>();
    let progress = |cluster| run.events.of_hop(hop, cluster);
    clusters.iter().for_each(|c| progress(c).started());
    let findings = work.await;
    findings.iter().for_each(|finding| report(run, finding));
    let is_of = |f: &Finding, c: &ClusterName| f.hop == hop && f.cluster.as_ref() == Some(c);
    // End the progress of clusters without a finding of their own.
    let silent = clusters
        .iter()
        .filter(|c| !findings.iter().any(|f| is_of(f, c)));
    silent.for_each(|c| progress(c).ended());
    findings
}

/// Reports a finding. One without a cluster is shown beside home's.
pub fn report(run: &Run<'_>, finding: &Finding) {
    let cluster = finding.cluster.as_ref().unwrap_or(&run.mesh.home.name);
    let progress = run.events.of_hop(finding.hop, cluster);
    progress.found(finding.verdict, &finding.text);
}
