//! Objects as the check found them, and Secrets as an install read them at its begin, so that an install that writes
//! nothing reads each object once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::record::Key;

/// None if the object did not exist.
#[derive(Clone, Default)]
pub struct Seen(BTreeMap<Key, Option<Value>>);

impl Seen {
    pub fn put(&mut self, key: Key, live: Option<Value>) {
        self.0.insert(key, live);
    }

    pub fn get(&self, key: &Key) -> Option<&Option<Value>> {
        self.0.get(key)
    }
}
