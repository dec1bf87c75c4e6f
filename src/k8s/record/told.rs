//! What a run reports about a cluster at its end: what it changed, removed and left.

use super::{Key, Record};
use crate::k8s::change::Change;
use crate::progress::ObjectId;
use crate::visible;

impl Record {
    /// Adds a change, made or planned. Two writes to the same object are one change.
    pub fn tell(&self, mut change: Change) {
        let mut state = self.state();
        if let Some(told) = state.changes.iter().position(|t| t.object == change.object) {
            let told = state.changes.remove(told);
            if told.what.is_write() {
                change.what = told.what;
                change.fields.splice(0..0, told.fields);
            }
        }
        state.changes.push(change);
    }

    /// Whether this run has changed anything in the cluster.
    pub fn has_written(&self) -> bool {
        let state = self.state();
        !state.removed.is_empty() || state.changes.iter().any(|change| change.what.is_write())
    }

    /// All changes in their order, and removed objects that were not recreated.
    pub fn changes(&self) -> Vec<Change> {
        let state = self.state();
        let is_told = |gone: &Change| state.changes.iter().any(|c| c.object == gone.object);
        let removed = state.removed.iter().filter(|gone| !is_told(gone));
        state.changes.iter().chain(removed).cloned().collect()
    }

    /// All removed objects in their order.
    pub fn all_removed(&self) -> Vec<ObjectId> {
        let state = self.state();
        state.removed.iter().map(|c| c.object.clone()).collect()
    }

    /// Foreign objects that an install changed with the user's consent, with their fields.
    pub fn all_forced(&self) -> Vec<(Key, Vec<String>)> {
        let state = self.state();
        let forced = state.objects.values().filter(|e| !e.forced.is_empty());
        forced.map(|e| (e.key.clone(), e.forced.clone())).collect()
    }

    /// Messages about objects in the record that this run left, because they may not be ours.
    pub fn doubts(&self) -> Vec<String> {
        let state = self.state();
        let mut doubts = Vec::new();
        if !state.strange.is_empty() {
            doubts.push(format!(
                "the record names objects that ambikiali never makes, so somebody else wrote them there; they were left: {}",
                visible::listed(&state.strange, state.more_strange)
            ));
        }
        if !state.unlabelled.is_empty() {
            let named = state.unlabelled.iter().map(ToString::to_string);
            doubts.push(format!(
                "the record names objects that do not carry the labels of this install; they were left: {}",
                named.collect::<Vec<_>>().join(", ")
            ));
        }
        doubts
    }
}
