//! The closed list of what may be deleted: every object that this version or an earlier one creates in a cluster, by
//! its exact kind, namespace and name. Nothing else is ever deleted, whatever a record, a label or a flag says.

use std::collections::BTreeSet;

use super::record::Key;

/// The list for one cluster and one namespace of Kiali.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Created by this version.
    pub made: BTreeSet<Key>,
    /// Created only by earlier versions.
    pub made_before: BTreeSet<Key>,
    /// Created by `verify`, for as long as it runs.
    pub probes: BTreeSet<Key>,
    /// Created by the operator for the Kiali CR. Removed only if no operator runs.
    pub by_operator: BTreeSet<Key>,
}

impl Inventory {
    /// Whether a record may list it as created.
    pub fn has(&self, key: &Key) -> bool {
        [&self.made, &self.made_before, &self.probes]
            .iter()
            .any(|keys| keys.contains(key))
    }

    /// Whether an install can have adopted it. Objects of earlier versions cannot be adopted, nor
    /// can those of `verify`.
    pub fn can_be_adopted(&self, key: &Key) -> bool {
        self.made.contains(key)
    }

    pub fn is_operators(&self, key: &Key) -> bool {
        self.by_operator.contains(key)
    }
}
