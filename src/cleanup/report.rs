//! What a cleanup did, and what it could not do.

use serde::Serialize;

use crate::progress::ObjectId;

/// What could not be removed, and what is left.
#[derive(Debug, Default)]
pub struct Report {
    /// Or would be.
    pub removed: Vec<ClusterObject>,
    /// Of what stays: as it is now, or would be.
    pub changed: Vec<ClusterObject>,
    pub failures: Vec<anyhow::Error>,
    pub left: Vec<Left>,
    pub doubts: Vec<Doubt>,
    pub forced: Vec<Forced>,
}

#[derive(Debug, Serialize)]
pub struct ClusterObject {
    pub cluster: String,
    pub object: ObjectId,
}

/// What a record names and was left alone for it, in a sentence.
#[derive(Debug, Serialize)]
pub struct Doubt {
    pub cluster: String,
    pub message: String,
}

/// An object of others, and its fields that an install changed on the user's word: they stay so.
#[derive(Debug, Serialize)]
pub struct Forced {
    pub cluster: String,
    pub object: ObjectId,
    pub fields: Vec<String>,
}

/// One object that stays.
#[derive(Debug, Serialize)]
pub struct Left {
    pub cluster: String,
    pub object: ObjectId,
    /// Where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
