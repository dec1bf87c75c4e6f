//! Cluster names.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Limit for a key of a Secret.
const LONGEST: usize = 253;
/// Default of Istio's chart.
const NOT_SET: &str = "Kubernetes";

/// Whether a name is a DNS label, as names of namespaces are.
pub fn is_dns_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let outer = |c: char| inner(c) && c != '-';
    name.len() <= 63 && name.chars().all(inner) && name.starts_with(outer) && name.ends_with(outer)
}

/// Istio's cluster id. Kiali, the `cluster` label in Prometheus and the key in Kiali's Secret must all use
/// the same string, so it is read from istiod and never typed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct ClusterName(pub(super) String);

impl TryFrom<String> for ClusterName {
    type Error = String;

    fn try_from(name: String) -> Result<ClusterName, String> {
        ClusterName::new(&name)
    }
}

impl ClusterName {
    /// Rejects a name that cannot be a key of Kiali's Secret, the one place that needs it unchanged.
    pub fn new(name: &str) -> Result<ClusterName, String> {
        if name == NOT_SET {
            return Err(format!(
                "cluster id \"{NOT_SET}\" is Istio's default for every cluster; set one"
            ));
        }
        let known = |c: char| c.is_ascii_alphanumeric() || ['-', '.', '_'].contains(&c);
        // The kubelet reserves these file names in a mounted Secret.
        let is_path = name == "." || name.starts_with("..");
        match (1..=LONGEST).contains(&name.len()) && name.chars().all(known) && !is_path {
            true => Ok(ClusterName(name.into())),
            false => Err(format!(
                "cluster id \"{name}\" cannot be a key of Kiali's Secret (letters, digits, '-', '_' and '.', at most {LONGEST})"
            )),
        }
    }

    /// A name that `new` rejects, for tests of what must not rely on it.
    #[cfg(test)]
    pub fn unchecked(name: &str) -> ClusterName {
        ClusterName(name.into())
    }

    /// A folder name that is unique for this cluster, also on case-insensitive file systems.
    pub fn as_folder(&self) -> String {
        if is_dns_label(&self.0) {
            return self.0.clone();
        }
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let lower = self.0.to_ascii_lowercase();
        let near = lower.chars().map(|c| if inner(c) { c } else { '-' });
        let near = near.take(46).collect::<String>();
        let hash = Sha256::digest(&self.0);
        let hash = hash[..8].iter().map(|byte| format!("{byte:02x}"));
        let label = format!("{near}-{}", hash.collect::<String>());
        label.trim_start_matches('-').into()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_name_is_a_key_of_a_secret() {
        for good in [
            "cluster1",
            "a",
            "9-b",
            "gke_proj_us-east1-b_Mesh2",
            "C3.prod.example",
            "-a_",
            &"x".repeat(253),
        ] {
            assert_eq!(ClusterName::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "..data",
            "Kubernetes",
            "a/b",
            "a b",
            "a\n",
            "\u{1b}[2J",
            "\u{e4}",
            &"x".repeat(254),
        ] {
            assert!(ClusterName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_is_a_label_and_of_one_cluster() {
        let folder = |name: &str| ClusterName::new(name).unwrap().as_folder();
        assert_eq!(folder("cluster1"), "cluster1");
        assert!(folder("C3.prod.example").starts_with("c3-prod-example-"));
        let names = [
            "Mesh2", "mesh2", "mesh-2", "mesh_2", "mesh.2", "-mesh2", "_", "-",
        ];
        let long = ["x".repeat(64), "x".repeat(65)];
        let names = names.into_iter().chain(long.iter().map(String::as_str));
        let folders = names.map(folder).collect::<Vec<_>>();
        assert!(folders.iter().all(|name| is_dns_label(name)), "{folders:?}");
        let different = folders.iter().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(different.len(), folders.len(), "{folders:?}");
    }
}
