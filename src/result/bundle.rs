//! `bundle`.

use serde::Serialize;

use super::Cluster;
use crate::bundle::{Bundle, Missing};

/// What a bundle has. That something is missing is no failure: an archive is what a broken fleet needs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleResult {
    /// The clusters that answered.
    pub clusters: Vec<Cluster>,
    /// None with --dry-run.
    pub archive: Option<Written>,
    pub files: Vec<BundledFile>,
    /// Of all files, before compression.
    pub bytes: usize,
    pub missing: Vec<Missing>,
}

/// The archive.
#[derive(Debug, Serialize)]
pub struct Written {
    pub path: String,
    pub bytes: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BundledFile {
    pub name: String,
    pub bytes: usize,
    /// What did not fit.
    pub cut_bytes: usize,
}

impl BundleResult {
    pub fn of(clusters: Vec<Cluster>, bundle: &Bundle, archive: Option<Written>) -> BundleResult {
        let files = bundle.files.iter().map(|file| BundledFile {
            name: file.name().into(),
            bytes: file.size(),
            cut_bytes: file.cut,
        });
        BundleResult {
            clusters,
            archive,
            files: files.collect(),
            bytes: bundle.size(),
            missing: bundle.missing.clone(),
        }
    }
}
