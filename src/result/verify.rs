//! `verify`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{Cluster, Failure};
use crate::problem::Exit;
use crate::verify::{Finding, Verdict};
pub use crate::verify::{Flow, FlowHop, Place};
use crate::version::Installed;

#[derive(Debug, Serialize)]
pub struct VerifyResult {
    /// The version of the program.
    pub client: &'static str,
    /// By the clock of this machine, in UTC.
    pub started: String,
    pub clusters: Vec<Cluster>,
    /// The images that the requests and their metrics pass.
    pub installed: Vec<Installed>,
    pub hops: Vec<Finding>,
    /// The matrix: each flow of requests that was tried.
    pub flows: Vec<Flow>,
    /// Why a report could not be written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Failure>,
    /// The reports that were written.
    #[serde(skip)]
    pub reports: Vec<PathBuf>,
    #[serde(skip)]
    pub took: Duration,
}

impl VerifyResult {
    pub fn exit(&self) -> Option<Exit> {
        match self.is_verified() {
            false => Some(Exit::NotVerified),
            true => (!self.errors.is_empty()).then_some(Exit::Unexpected),
        }
    }

    pub fn is_verified(&self) -> bool {
        let hops = self.hops.iter().map(|hop| hop.verdict);
        let flows = self.flows.iter().map(|flow| flow.verdict);
        !hops.chain(flows).any(Verdict::fails)
    }

    /// How many hops have each verdict, and how many flows, as in "1 broken, 13 ok; flows: 3 ok".
    pub fn counts(&self) -> String {
        let hops = counted(self.hops.iter().map(|hop| hop.verdict));
        let flows = counted(self.flows.iter().map(|flow| flow.verdict));
        match flows.as_str() {
            "" => hops,
            flows => format!("{hops}; flows: {flows}"),
        }
    }
}

/// Counts verdicts, the worst first.
fn counted(verdicts: impl Iterator<Item = Verdict>) -> String {
    let verdicts = verdicts.collect::<Vec<_>>();
    let counts = [
        Verdict::Broken,
        Verdict::Unproven,
        Verdict::Skipped,
        Verdict::Holds,
    ];
    let counts = counts.into_iter().filter_map(|verdict| {
        let count = verdicts.iter().filter(|one| **one == verdict).count();
        (count > 0).then(|| format!("{count} {}", verdict.word()))
    });
    counts.collect::<Vec<_>>().join(", ")
}
