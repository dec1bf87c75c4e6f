//! `verify`.

use std::time::Duration;

use serde::Serialize;

use super::Cluster;
use crate::problem::Exit;
use crate::verify::{Finding, Verdict};
pub use crate::verify::{Flow, FlowHop, Place};

#[derive(Debug, Serialize)]
pub struct VerifyResult {
    pub clusters: Vec<Cluster>,
    pub hops: Vec<Finding>,
    /// The matrix: each flow of requests that was tried.
    pub flows: Vec<Flow>,
    #[serde(skip)]
    pub took: Duration,
}

impl VerifyResult {
    pub fn exit(&self) -> Option<Exit> {
        let hops = self.hops.iter().map(|hop| hop.verdict);
        let flows = self.flows.iter().map(|flow| flow.verdict);
        let fails = hops.chain(flows).any(Verdict::fails);
        fails.then_some(Exit::NotVerified)
    }
}
