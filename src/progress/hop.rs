//! The hops that `verify` proves, for progress and results.

use serde::{Serialize, Serializer};

/// A hop of the way from a ztunnel to Kiali's graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hop {
    ApiServer,
    Components,
    ScrapeTarget,
    Exposure,
    RemoteWrite,
    Store,
    RemoteAccess,
    Rights,
    Kiali,
    Traffic,
    Metrics,
    Edge,
    Probes,
}

impl Hop {
    pub fn title(self) -> &'static str {
        match self {
            Hop::ApiServer => "api server",
            Hop::Components => "components",
            Hop::ScrapeTarget => "scrape target",
            Hop::Exposure => "exposure",
            Hop::RemoteWrite => "remote write",
            Hop::Store => "store",
            Hop::RemoteAccess => "remote access",
            Hop::Rights => "rights",
            Hop::Kiali => "kiali",
            Hop::Traffic => "traffic",
            Hop::Metrics => "metrics",
            Hop::Edge => "edge",
            Hop::Probes => "probes",
        }
    }
}

impl Serialize for Hop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.title())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Holds,
    Broken,
    /// It could not be tested.
    Unproven,
    /// The user disabled it.
    Skipped,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Holds => "ok",
            Verdict::Broken => "broken",
            Verdict::Unproven => "unproven",
            Verdict::Skipped => "skipped",
        }
    }

    /// Whether this verdict makes `verify` fail.
    pub fn fails(self) -> bool {
        matches!(self, Verdict::Broken | Verdict::Unproven)
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}
