//! What an install changes, or would change: `install --dry-run` is an install whose writes are asked of the
//! API servers as dry runs, so that what it lists is found by the code that writes, with what admission
//! would make of it.

use anyhow::Result;

use crate::guide::Step;
use crate::install;
use crate::k8s::change::{Change, What};
use crate::k8s::lease;
use crate::mesh::ClusterName;
use crate::progress::ObjectId;
use crate::run::Run;

/// What an install makes of one cluster.
#[derive(Clone, Debug)]
pub struct Plan {
    pub cluster: ClusterName,
    pub changes: Vec<Change>,
}

/// Of each cluster, in the mesh's order.
pub async fn plan(run: &Run<'_>) -> Result<Vec<Plan>> {
    install::install(run).await?;
    hold(run);
    Ok(changes(run))
}

/// Of what was written, or would have been.
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

/// A run that writes anywhere is held together by a Lease on home, which goes with its end.
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
