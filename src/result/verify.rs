//! `verify`.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Cluster;
use crate::mesh::ClusterName;
use crate::problem::Exit;
use crate::verify::{Finding, Verdict};

#[derive(Debug, Serialize)]
pub struct VerifyResult {
    pub clusters: Vec<Cluster>,
    pub hops: Vec<Finding>,
    /// The matrix: each flow of requests that was tried.
    pub flows: Vec<Flow>,
    #[serde(skip)]
    pub took: Duration,
}

/// The requests from one cluster to another, or within one, followed hop by hop.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    pub from: ClusterName,
    pub to: ClusterName,
    /// That of the first hop that does not hold.
    pub verdict: Verdict,
    /// In the order in which a request passes them.
    pub hops: Vec<FlowHop>,
}

/// What one hop shows of a flow.
#[derive(Clone, Debug, Serialize)]
pub struct FlowHop {
    pub hop: Place,
    pub verdict: Verdict,
    /// What was seen, or what is wrong.
    pub message: String,
    /// Requests or bytes, as `unit` says; None if nothing was counted.
    pub count: Option<u64>,
    pub unit: Option<&'static str>,
    /// When it was first seen, since the first request.
    pub seconds: Option<f64>,
}

/// Where a flow is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The answers to the requests.
    Requests,
    /// The ztunnel of the sending pod.
    Source,
    /// The ztunnels of the answering pods.
    Destination,
    /// The federating Prometheus, or the store.
    Metrics,
    /// Kiali's graph.
    Kiali,
}

impl Place {
    pub fn title(self) -> &'static str {
        match self {
            Place::Requests => "requests",
            Place::Source => "source ztunnel",
            Place::Destination => "destination ztunnel",
            Place::Metrics => "metrics",
            Place::Kiali => "kiali",
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.title())
    }
}

impl VerifyResult {
    pub fn exit(&self) -> Option<Exit> {
        let hops = self.hops.iter().map(|hop| hop.verdict);
        let flows = self.flows.iter().map(|flow| flow.verdict);
        let fails = hops.chain(flows).any(Verdict::fails);
        fails.then_some(Exit::NotVerified)
    }
}
