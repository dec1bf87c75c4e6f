//! `rotate`.

use std::time::Duration;

use serde::Serialize;

use super::Cluster;
use crate::mesh::ClusterName;
use crate::problem::Exit;
use crate::progress::ObjectId;
use crate::rotate::Rotated;
use crate::rotate::certificates::RotatedCertificate;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RotateResult {
    pub clusters: Vec<Cluster>,
    pub tokens: Vec<Token>,
    /// Empty unless certificates were asked for.
    pub certificates: Vec<Certificate>,
    pub dry_run: bool,
    #[serde(skip)]
    pub took: Duration,
}

/// The token of one remote.
#[derive(Debug, Serialize)]
pub struct Token {
    pub cluster: ClusterName,
    pub action: Action,
    /// The Secret of the token that Kiali uses.
    pub secret: ObjectId,
    pub reason: String,
    /// Secrets that were deleted, and whose tokens are refused.
    pub removed: Vec<ObjectId>,
    /// Secrets of others whose tokens are still valid.
    pub left: Vec<ObjectId>,
    /// When the token ends.
    pub ends: Option<String>,
}

/// The certificate of a Gateway or of the federating Prometheus.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    pub cluster: ClusterName,
    pub action: Action,
    /// The Secret that holds it.
    pub secret: ObjectId,
    pub reason: String,
    /// When it ends.
    pub ends: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Rotate,
    Keep,
}

impl RotateResult {
    /// Partial if an old token is still valid.
    pub fn exit(&self) -> Option<Exit> {
        let is_left = self.tokens.iter().any(|token| !token.left.is_empty());
        (is_left && !self.dry_run).then_some(Exit::Partial)
    }
}

impl From<RotatedCertificate> for Certificate {
    fn from(rotated: RotatedCertificate) -> Certificate {
        Certificate {
            cluster: rotated.cluster,
            action: Action::of(rotated.is_new),
            secret: rotated.secret,
            reason: rotated.reason,
            ends: rotated.ends.to_string(),
        }
    }
}

impl Action {
    fn of(is_new: bool) -> Action {
        match is_new {
            true => Action::Rotate,
            false => Action::Keep,
        }
    }
}

impl From<Rotated> for Token {
    fn from(rotated: Rotated) -> Token {
        Token {
            cluster: rotated.cluster,
            action: Action::of(rotated.is_new),
            secret: rotated.secret,
            reason: rotated.reason,
            removed: rotated.removed,
            left: rotated.left,
            ends: rotated.ends.map(|ends| ends.to_string()),
        }
    }
}
