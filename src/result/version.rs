//! `version`.

use serde::Serialize;

use super::install::by_name;
use super::{Cluster, Unreachable, VERSION};
use crate::options::Options;
use crate::problem::Exit;
use crate::version::Installed;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionResult {
    pub client: &'static str,
    /// Why the remembered clusters were not contacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<String>,
    /// None if no cluster was contacted.
    #[serde(flatten)]
    pub versions: Option<Versions>,
}

/// The versions in the clusters.
#[derive(Debug, Serialize)]
pub struct Versions {
    pub clusters: Vec<Cluster>,
    pub installed: Vec<Installed>,
    #[serde(serialize_with = "by_name")]
    pub options: Options,
    pub unreachable: Vec<Unreachable>,
}

impl VersionResult {
    /// The version of the program only.
    pub fn of_client(not_asked: Option<String>) -> VersionResult {
        VersionResult {
            client: VERSION,
            not_asked,
            versions: None,
        }
    }

    pub fn of_clusters(versions: Versions) -> VersionResult {
        VersionResult {
            client: VERSION,
            not_asked: None,
            versions: Some(versions),
        }
    }

    pub fn exit(&self) -> Option<Exit> {
        let versions = self.versions.as_ref();
        let silent = versions.is_some_and(|versions| !versions.unreachable.is_empty());
        silent.then_some(Exit::Unreachable)
    }
}
