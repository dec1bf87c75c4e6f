//! The closed list of what may be deleted: every object that this program, in this version or an earlier
//! one, makes in a cluster, by its exact kind, namespace and name. Whatever a record, a label or a
//! flag says, nothing else is ever deleted.

use std::collections::BTreeSet;

use super::record::Key;

/// Of one cluster and one namespace of Kiali.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// By this version.
    pub made: BTreeSet<Key>,
    /// By earlier versions alone.
    pub made_before: BTreeSet<Key>,
    /// By the operator for the Kiali CR: removed in its place only where no operator runs.
    pub by_operator: BTreeSet<Key>,
}

impl Inventory {
    /// Whether a record may name it at all.
    pub fn has(&self, key: &Key) -> bool {
        self.made.contains(key) || self.made_before.contains(key)
    }

    /// Whether an install can have found it and used it. Names of earlier versions are of no use to it.
    pub fn can_be_adopted(&self, key: &Key) -> bool {
        self.made.contains(key)
    }

    pub fn is_operators(&self, key: &Key) -> bool {
        self.by_operator.contains(key)
    }
}
