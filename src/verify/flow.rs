//! What `verify` finds out about each flow: a cell of the matrix, hop by hop.

use serde::Serialize;

use crate::mesh::ClusterName;
use crate::progress::{Place, Verdict};

/// Which flows are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// From and to home, and within home.
    Home,
    /// From each cluster to each, and within each.
    All,
}

/// The requests from one cluster to another, or within one, followed hop by hop.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    pub from: ClusterName,
    pub to: ClusterName,
    /// That of the first broken hop, else of the first unproven one. A skipped hop counts only if all are skipped.
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

impl Pairs {
    /// Each flow as its sender and its receiver. The first cluster is home.
    pub fn of(self, clusters: &[ClusterName]) -> Vec<(ClusterName, ClusterName)> {
        let home = clusters.first();
        let pairs = clusters
            .iter()
            .flat_map(|from| clusters.iter().map(move |to| (from, to)));
        let is_asked = |(from, to): &(&ClusterName, &ClusterName)| {
            self == Pairs::All || [Some(*from), Some(*to)].contains(&home)
        };
        let asked = pairs.filter(is_asked);
        asked.map(|(from, to)| (from.clone(), to.clone())).collect()
    }
}

impl Flow {
    /// Makes a flow of its hops. What comes after a broken hop cannot hold, so only the first one is called broken.
    pub fn new(from: ClusterName, to: ClusterName, mut hops: Vec<FlowHop>) -> Flow {
        let is = |verdict| move |hop: &FlowHop| hop.verdict == verdict;
        if let Some(first) = hops.iter().position(is(Verdict::Broken)) {
            let before = hops[first].hop.title();
            for hop in hops[first + 1..]
                .iter_mut()
                .filter(|hop| hop.verdict.fails())
            {
                hop.verdict = Verdict::Unproven;
                hop.message = format!("hop {before} is broken");
            }
        }
        let any = |verdict| hops.iter().any(is(verdict));
        let found = [Verdict::Broken, Verdict::Unproven, Verdict::Holds];
        let verdict = found.into_iter().find(|verdict| any(*verdict));
        Flow {
            verdict: verdict.unwrap_or(Verdict::Skipped),
            from,
            to,
            hops,
        }
    }

    /// The hop that the verdict is about; None if the flow holds.
    pub fn failing(&self) -> Option<&FlowHop> {
        let mut hops = self.hops.iter();
        hops.find(|hop| self.verdict.fails() && hop.verdict == self.verdict)
    }
}
