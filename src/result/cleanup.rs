//! `cleanup`.

use std::time::Duration;

use serde::Serialize;

use super::{Cluster, Failure};
use crate::cleanup::{ClusterObject, Doubt, Forced, Left, Report};
use crate::problem::Exit;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupResult {
    pub doubts: Vec<Doubt>,
    pub forced: Vec<Forced>,
    pub removed: Vec<ClusterObject>,
    pub changed: Vec<ClusterObject>,
    pub left: Vec<Left>,
    /// What stays because it holds data.
    pub kept: Vec<Left>,
    pub errors: Vec<Failure>,
    pub clusters: Vec<Cluster>,
    pub dry_run: bool,
    /// The clusters of the cleanup.
    #[serde(skip)]
    pub cleared: String,
    #[serde(skip)]
    pub took: Duration,
}

impl CleanupResult {
    pub fn of(
        report: Report,
        clusters: Vec<Cluster>,
        dry_run: bool,
        cleared: String,
        took: Duration,
    ) -> CleanupResult {
        CleanupResult {
            doubts: report.doubts,
            forced: report.forced,
            removed: report.removed,
            changed: report.changed,
            left: report.left,
            kept: report.kept,
            errors: report.failures.iter().map(Failure::of).collect(),
            clusters,
            dry_run,
            cleared,
            took,
        }
    }

    pub fn exit(&self) -> Option<Exit> {
        (!self.is_clean()).then_some(Exit::Partial)
    }

    /// Whether nothing is left and all records were valid.
    pub fn is_clean(&self) -> bool {
        self.nothing_is_left() && self.doubts.is_empty()
    }

    pub fn nothing_is_left(&self) -> bool {
        self.errors.is_empty() && self.left.is_empty()
    }
}
