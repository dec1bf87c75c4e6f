//! What a cluster is called.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a namespace, a job and a volume may be called.
pub fn is_dns_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let outer = |c: char| inner(c) && c != '-';
    name.len() <= 63 && name.chars().all(inner) && name.starts_with(outer) && name.ends_with(outer)
}

/// Istio's cluster id: Kiali, Prometheus' `cluster` label and the key in Kiali's Secret must all
/// carry this one string, so it is taken from istiod and never typed.
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
    /// Refuses what cannot be a DNS label: such a name can be neither a job nor a volume.
    pub fn new(name: &str) -> Result<ClusterName, String> {
        match is_dns_label(name) {
            true => Ok(ClusterName(name.into())),
            false => Err(format!(
                "cluster id \"{name}\" is not a DNS label (lower-case letters, digits and '-', at most 63)"
            )),
        }
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
    fn a_cluster_name_is_a_dns_label() {
        for good in ["cluster1", "a", "9-b", &"x".repeat(63)] {
            assert_eq!(ClusterName::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "Kubernetes",
            "my_cluster",
            "-a",
            "a-",
            "a.b",
            &"x".repeat(64),
        ] {
            assert!(
                ClusterName::new(bad)
                    .unwrap_err()
                    .contains("not a DNS label"),
                "{bad}"
            );
        }
    }
}
