//! The result of a cleanup.

use serde::Serialize;

use crate::progress::ObjectId;

/// What could not be removed, and what is left.
#[derive(Debug, Default)]
pub struct Report {
    /// Removed objects, or those that a dry run would remove.
    pub removed: Vec<ClusterObject>,
    /// Objects that stay and were changed, or would be.
    pub changed: Vec<ClusterObject>,
    pub failures: Vec<anyhow::Error>,
    pub left: Vec<Left>,
    /// Claims, and the namespaces that hold them, which stay unless the user wants it otherwise.
    pub kept: Vec<Left>,
    pub doubts: Vec<Doubt>,
    pub forced: Vec<Forced>,
}

/// Whether an object that stays was meant to, with the reason.
pub enum Stays {
    Left(Option<String>),
    Kept(String),
}

impl Report {
    pub fn stays(&mut self, cluster: String, object: ObjectId, stays: Stays) {
        let (list, reason) = match stays {
            Stays::Left(reason) => (&mut self.left, reason),
            Stays::Kept(reason) => (&mut self.kept, Some(reason)),
        };
        list.push(Left {
            cluster,
            object,
            reason,
        });
    }
}

#[derive(Debug, Serialize)]
pub struct ClusterObject {
    pub cluster: String,
    pub object: ObjectId,
}

/// A message about objects in a record that were left, because they may not be ours.
#[derive(Debug, Serialize)]
pub struct Doubt {
    pub cluster: String,
    pub message: String,
}

/// A foreign object with the fields that an install changed with the user's consent; they stay changed.
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
    /// Why the object stays, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
