//! `verify`.

use std::time::Duration;

use serde::Serialize;

use super::Cluster;
use crate::problem::Exit;
use crate::verify::Finding;

#[derive(Debug, Serialize)]
pub struct VerifyResult {
    pub clusters: Vec<Cluster>,
    pub hops: Vec<Finding>,
    #[serde(skip)]
    pub took: Duration,
}

impl VerifyResult {
    pub fn exit(&self) -> Option<Exit> {
        let fails = self.hops.iter().any(|hop| hop.verdict.fails());
        fails.then_some(Exit::NotVerified)
    }
}
