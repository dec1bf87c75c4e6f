//! `doctor`.

use std::time::Duration;

use serde::Serialize;

use super::{Cluster, Unreachable};
use crate::code::Code;
use crate::doctor::{Diagnosis, Likelihood, Likely, Question, Unknown};
use crate::mesh::ClusterName;
use crate::problem::Exit;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DoctorResult {
    pub clusters: Vec<Cluster>,
    pub window_seconds: u64,
    pub namespace: Option<String>,
    pub service: Option<String>,
    /// The best one first.
    pub causes: Vec<Cause>,
    pub ruled_out: Vec<RuledOut>,
    pub unknown: Vec<Unasked>,
    pub unreachable: Vec<Unreachable>,
    /// What a report for strangers leaves out.
    #[serde(skip)]
    pub private: Vec<Private>,
    #[serde(skip)]
    pub took: Duration,
}

/// How the user reaches a cluster.
#[derive(Debug)]
pub struct Private {
    pub cluster: ClusterName,
    pub context: String,
    /// The kubectl command; None if the cluster does not answer.
    pub kubectl: Option<String>,
}

/// A likely cause.
#[derive(Debug, Serialize)]
pub struct Cause {
    pub code: Code,
    pub title: &'static str,
    pub likelihood: Likelihood,
    /// None if it is not about a single cluster.
    pub cluster: Option<ClusterName>,
    #[serde(rename = "message")]
    pub seen: String,
    pub fix: String,
}

#[derive(Debug, Serialize)]
pub struct RuledOut {
    pub code: Code,
    pub title: &'static str,
}

/// A cause that could be judged neither likely nor ruled out.
#[derive(Debug, Serialize)]
pub struct Unasked {
    pub code: Code,
    pub title: &'static str,
    pub cluster: Option<ClusterName>,
    #[serde(rename = "message")]
    pub why: String,
}

impl DoctorResult {
    pub fn of(
        clusters: Vec<Cluster>,
        diagnosis: Diagnosis,
        question: Question,
        unreachable: Vec<Unreachable>,
        (private, took): (Vec<Private>, Duration),
    ) -> DoctorResult {
        let cause = |(code, likely): (Code, Likely)| Cause {
            code,
            title: code.title(),
            likelihood: likely.likelihood,
            cluster: likely.cluster,
            seen: likely.seen,
            fix: likely.fix,
        };
        let ruled_out = |code: Code| RuledOut {
            code,
            title: code.title(),
        };
        let unasked = |(code, unknown): (Code, Unknown)| Unasked {
            code,
            title: code.title(),
            cluster: unknown.cluster,
            why: unknown.why,
        };
        DoctorResult {
            clusters,
            window_seconds: question.window.as_secs(),
            namespace: question.namespace,
            service: question.service,
            causes: diagnosis.likely.into_iter().map(cause).collect(),
            ruled_out: diagnosis.ruled_out.into_iter().map(ruled_out).collect(),
            unknown: diagnosis.unknown.into_iter().map(unasked).collect(),
            unreachable,
            private,
            took,
        }
    }

    /// What could not be asked is no failure: it is listed.
    pub fn exit(&self) -> Option<Exit> {
        (!self.causes.is_empty()).then_some(Exit::NotVerified)
    }
}
