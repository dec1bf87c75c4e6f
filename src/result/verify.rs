//! `verify`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Cluster, Failure};
use crate::mesh::ClusterName;
use crate::problem::Exit;
use crate::verify::{Finding, Verdict};
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

    /// How many hops have each verdict, as in "1 broken, 13 ok".
    pub fn counts(&self) -> String {
        let verdicts = [
            Verdict::Broken,
            Verdict::Unproven,
            Verdict::Skipped,
            Verdict::Holds,
        ];
        let count = |wanted| self.hops.iter().filter(|hop| hop.verdict == wanted).count();
        let counts = verdicts.map(|verdict| (count(verdict), verdict.word()));
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, word)| format!("{count} {word}"));
        counts.collect::<Vec<_>>().join(", ")
    }
}
