//! Objects as they were when an install was checked, so that one that writes nothing reads each of them
//! once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::record::Key;

/// None stands for an object that was not there.
#[derive(Default)]
pub struct Seen(BTreeMap<Key, Option<Value>>);

impl Seen {
    pub fn put(&mut self, key: Key, live: Option<Value>) {
        self.0.insert(key, live);
    }

    pub fn get(&self, key: &Key) -> Option<&Option<Value>> {
        self.0.get(key)
    }
}
