//! Changes kubeconfigs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Writes a changed copy of a kubeconfig, or changes it in place.
pub fn kubeconfig(from: &Path, to: PathBuf, change: impl FnOnce(&mut Value)) -> PathBuf {
    let text = fs::read_to_string(from).expect("a kubeconfig");
    let mut config = serde_yaml::from_str(&text).expect("a kubeconfig");
    change(&mut config);
    fs::write(&to, config.to_string()).expect("a kubeconfig");
    to
}

/// Returns the `user` or `cluster` with this name.
pub fn entry<'a>(config: &'a mut Value, what: &str, name: &str) -> &'a mut Value {
    let entries = config[format!("{what}s")].as_array_mut();
    let mut entries = entries.expect("a list").iter_mut();
    let entry = entries.find(|entry| entry["name"] == name);
    &mut entry.expect("an entry")[what]
}
