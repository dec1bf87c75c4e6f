//! The state of a record when it was opened.

use super::NAME;

/// The state of the record of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Whole,
    /// No record, and no object of ours except the namespace.
    Nothing,
    Lost(usize),
    Edited(usize),
    /// A foreign object has its name.
    Foreign,
}

impl Found {
    /// A message for the user; None if nothing is wrong.
    pub fn said(self) -> Option<String> {
        let rebuilt = |how, count| {
            Some(format!(
                "the record was {how}; made again from the labels of {count} objects"
            ))
        };
        match self {
            Found::Whole | Found::Nothing => None,
            Found::Lost(count) => rebuilt("lost", count),
            Found::Edited(count) => rebuilt("edited", count),
            Found::Foreign => Some(format!("ConfigMap {NAME} is not ours and was left")),
        }
    }
}
