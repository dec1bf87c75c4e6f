//! `plan` and `install`.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Cluster, Unreachable};
use crate::check::Finding;
use crate::k8s::change;
use crate::mesh::ClusterName;
use crate::options::Options;
use crate::plan::Plan;
use crate::problem::Exit;

#[derive(Debug, Serialize)]
pub struct PlanResult {
    pub clusters: Vec<Cluster>,
    pub findings: Vec<Finding>,
    /// None if the findings would stop an install.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Change>>,
    /// Whether the exit code tells if an install would write.
    #[serde(skip)]
    pub exit_code: bool,
}

impl PlanResult {
    pub fn exit(&self) -> Option<Exit> {
        let Some(changes) = &self.changes else {
            return Some(Exit::Preflight);
        };
        let writes = changes.iter().any(|one| one.change.what.is_write());
        (writes && self.exit_code).then_some(Exit::Changes)
    }
}

#[derive(Debug, Serialize)]
pub struct InstallResult {
    pub clusters: Vec<Cluster>,
    pub findings: Vec<Finding>,
    #[serde(serialize_with = "by_name")]
    pub options: Options,
    /// None if the findings stopped the install before its first write.
    #[serde(flatten)]
    pub installed: Option<Installed>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Installed {
    pub changes: Vec<Change>,
    pub left_out: Vec<Unreachable>,
    /// Whether the next commands know the clusters.
    #[serde(skip)]
    pub remembered: bool,
    #[serde(skip)]
    pub took: Duration,
}

impl InstallResult {
    pub fn exit(&self) -> Option<Exit> {
        match &self.installed {
            None => Some(Exit::Preflight),
            Some(installed) => (!installed.left_out.is_empty()).then_some(Exit::Partial),
        }
    }
}

/// What an install did to an object, or would do.
#[derive(Debug, Serialize)]
pub struct Change {
    pub cluster: ClusterName,
    #[serde(flatten)]
    pub change: change::Change,
}

impl Change {
    pub fn all(plans: Vec<Plan>) -> Vec<Change> {
        let plans = plans.into_iter().flat_map(|plan| {
            let cluster = plan.cluster;
            let changes = plan.changes.into_iter();
            changes.map(move |change| Change {
                cluster: cluster.clone(),
                change,
            })
        });
        plans.collect()
    }
}

/// The options that differ from the default, without the format version, which only the record needs.
pub fn by_name<S: Serializer>(options: &Options, serializer: S) -> Result<S::Ok, S::Error> {
    options.values().serialize(serializer)
}
