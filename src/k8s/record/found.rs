//! How a record was found.

use super::NAME;

/// What was in a cluster when its record was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Whole,
    /// None, and nothing of ours either.
    Nothing,
    Lost(usize),
    Edited(usize),
    /// Somebody else's object has its name.
    Foreign,
}

impl Found {
    /// For the people who look: None when all is as it should be.
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
