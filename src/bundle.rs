//! `bundle`: what a maintainer would ask for, from all clusters, in one archive without secrets. It only reads, asks
//! for no Secret, and leaves out what it may not read or does not get in time.

mod archive;
mod gather;
mod index;
mod scrub;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

pub use archive::{File, pack, place, write};
pub use gather::gather;
pub use index::Overview;

use crate::mesh::ClusterName;
use archive::{LARGEST, Name};

/// Time limit for the requests to each cluster, besides those of the commands whose results are in the bundle.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Limit for the number of files.
const MOST: usize = 1000;

/// What a bundle does not have, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Missing {
    /// None if it is not about a single cluster.
    pub cluster: Option<ClusterName>,
    pub what: String,
    pub reason: String,
}

impl Missing {
    pub fn new(
        cluster: Option<&ClusterName>,
        what: impl Into<String>,
        reason: impl Into<String>,
    ) -> Missing {
        Missing {
            cluster: cluster.cloned(),
            what: what.into(),
            reason: reason.into(),
        }
    }

    /// The same without secrets, as the index and the result tell it.
    fn scrubbed(self) -> Missing {
        Missing {
            cluster: self.cluster,
            what: scrub::text(&self.what),
            reason: scrub::text(&self.reason),
        }
    }
}

/// What was found in one place.
#[derive(Debug, Default)]
pub struct Found {
    pub files: Vec<File>,
    pub missing: Vec<Missing>,
}

impl Found {
    pub fn add(&mut self, other: Found) {
        self.files.extend(other.files);
        self.missing.extend(other.missing);
    }

    /// Adds the document of a command.
    pub fn document(&mut self, name: &'static str, document: Value) {
        self.files.push(File::json(Name::own(name), document));
    }
}

/// The files of an archive, the index first.
#[derive(Debug)]
pub struct Bundle {
    pub files: Vec<File>,
    pub missing: Vec<Missing>,
}

impl Bundle {
    /// Sorts the files, leaves out those that do not fit, and writes the index.
    pub fn of(found: Found, overview: &Overview<'_>) -> Bundle {
        let Found {
            mut files,
            mut missing,
        } = found;
        files.sort_by(|a, b| a.name().cmp(b.name()));
        files.dedup_by(|a, b| a.name() == b.name());
        let mut left = LARGEST - archive::LARGEST_FILE;
        let mut count = 0;
        files.retain(|file| {
            let fits = file.size() <= left && count < MOST;
            if fits {
                left -= file.size();
                count += 1;
            } else {
                let why = format!("the bundle would be larger than {} MiB", LARGEST >> 20);
                missing.push(Missing::new(None, file.name(), why));
            }
            fits
        });
        let cut = files.iter().filter(|file| file.cut > 0);
        missing.extend(cut.map(|file| {
            let why = format!("cut after {} MiB", archive::LARGEST_FILE >> 20);
            Missing::new(None, format!("{} bytes of {}", file.cut, file.name()), why)
        }));
        let mut missing = missing
            .into_iter()
            .map(Missing::scrubbed)
            .collect::<Vec<_>>();
        missing.sort();
        missing.dedup();
        let index = index::index(&files, &missing, overview);
        files.insert(0, index);
        Bundle { files, missing }
    }

    pub fn size(&self) -> usize {
        self.files.iter().map(File::size).sum()
    }
}
