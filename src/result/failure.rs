//! Errors and unreachable clusters.

use serde::Serialize;

use crate::code::Code;
use crate::mesh::{Absent, ClusterName};
use crate::problem;

/// An error, for text and documents.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    pub code: Option<Code>,
    /// The error with its chain of causes.
    pub message: String,
    /// The command that fixes it, if known.
    pub fix: Option<String>,
}

impl Failure {
    pub fn of(error: &anyhow::Error) -> Failure {
        let problem = problem::find(error);
        Failure {
            code: problem.and_then(|problem| problem.code),
            message: format!("{error:#}"),
            fix: problem.and_then(|problem| problem.fix.clone()),
        }
    }
}

/// An unreachable remote, or one that an install left out.
#[derive(Clone, Debug, Serialize)]
pub struct Unreachable {
    pub cluster: ClusterName,
    pub error: Failure,
}

impl Unreachable {
    pub fn all(absent: &[Absent]) -> Vec<Unreachable> {
        let absent = absent.iter().map(|absent| Unreachable {
            cluster: absent.name.clone(),
            error: Failure::of(&absent.error),
        });
        absent.collect()
    }
}
