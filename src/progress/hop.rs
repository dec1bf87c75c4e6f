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
    /// The flows between the clusters, which have hops of their own.
    Flow,
    /// Probes of our own, which are gone at the end.
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
            Hop::Flow => "flow",
            Hop::Probes => "probes",
        }
    }
}

impl Serialize for Hop {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.title())
    }
}

/// Where a flow is looked for, in the order in which a request passes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The answers to the requests.
    Requests,
    /// The ztunnel of the sending pod.
    Source,
    /// The ztunnels of the answering pods.
    Destination,
    /// The federating Prometheus, or the store.
    Metrics,
    /// Kiali's graph.
    Kiali,
}

impl Place {
    pub const ALL: [Place; 5] = [
        Place::Requests,
        Place::Source,
        Place::Destination,
        Place::Metrics,
        Place::Kiali,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Place::Requests => "requests",
            Place::Source => "source ztunnel",
            Place::Destination => "destination ztunnel",
            Place::Metrics => "metrics",
            Place::Kiali => "kiali",
        }
    }

    /// The title in one word, for a table.
    pub fn word(self) -> &'static str {
        match self {
            Place::Source => "source",
            Place::Destination => "destination",
            _ => self.title(),
        }
    }
}

impl Serialize for Place {
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
