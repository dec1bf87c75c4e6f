//! What an install changes, or would change: `install --dry-run` is an install with dry-run writes, so the same code
//! finds the changes, including those of admission.

use anyhow::Result;

use crate::guide::Step;
use crate::install;
use crate::k8s::change::{Change, What};
use crate::k8s::lease;
use crate::mesh::ClusterName;
use crate::progress::ObjectId;
use crate::run::Run;

/// The changes of an install in one cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    pub cluster: ClusterName,
    pub changes: Vec<Change>,
}

/// The changes in each cluster, in the order of the mesh.
pub async fn plan(run: &Run<'_>) -> Result<Vec<Plan>> {
    install::install(run).await?;
    hold(run);
    Ok(changes(run))
}

/// The changes that were made, or would be made.
pub fn changes(run: &Run<'_>) -> Vec<Plan> {
    let all = run.mesh.all().zip(run.records);
    let plans = all.map(|(cluster, record)| {
        let mut changes = record.changes();
        changes.sort_by(|a, b| (a.step, &a.object).cmp(&(b.step, &b.object)));
        Plan {
            cluster: cluster.name.clone(),
            changes,
        }
    });
    plans.collect()
}

/// Adds the Lease on home, which a run holds while it writes.
fn hold(run: &Run<'_>) {
    let mut changes = run.records.iter().flat_map(|record| record.changes());
    if changes.any(|change| change.what.is_write()) {
        run.records[0].tell(Change {
            step: Step::Namespace,
            object: ObjectId::new("Lease", run.namespace, lease::NAME),
            what: What::Hold,
            fields: Vec::new(),
        });
    }
}
