//! What a user may choose about the objects of an install. They are words by name, so that the record can
//! keep them for the next run, and that of a later version those that this one does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Of all images.
pub const REGISTRY: &str = "registry";
/// What comes before the component whose image it is.
pub const IMAGE: &str = "image.";
/// The way back from what was chosen once.
pub const DEFAULT: &str = "default";

/// Those that are not the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// After the user chose these now; the rest stays.
    pub fn with(&self, asked: BTreeMap<String, String>) -> Options {
        let mut all = self.0.clone();
        all.extend(asked);
        all.retain(|_, value| value != DEFAULT);
        Options(all)
    }
}
