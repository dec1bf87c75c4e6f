//! The guide's table of contents: the steps that progress, errors and `status` refer to.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Where Istio's control plane and the Prometheus of each cluster are.
pub const ISTIO_NAMESPACE: &str = "istio-system";
/// Where the guide's sample apps are.
pub const SAMPLE: &str = "sample";

/// A section of the guide, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Namespace,
    ClusterPrometheus,
    ExposePrometheus,
    /// In place of the steps around it, if the metrics go to the user's store.
    RemoteWrite,
    AggregateMetrics,
    KialiOperator,
    RemoteCluster,
    RemoteSecret,
    Kiali,
    /// No section of the guide: what `verify` puts into the clusters while it runs.
    Probes,
}

impl Step {
    /// The short name in progress lines and errors.
    pub fn title(self) -> &'static str {
        match self {
            Step::Namespace => "namespace",
            Step::ClusterPrometheus => "cluster prometheus",
            Step::ExposePrometheus => "expose prometheus",
            Step::RemoteWrite => "remote write",
            Step::AggregateMetrics => "aggregate metrics",
            Step::KialiOperator => "kiali operator",
            Step::RemoteCluster => "remote cluster",
            Step::RemoteSecret => "remote secret",
            Step::Kiali => "kiali",
            Step::Probes => "probes",
        }
    }

    /// The time limit, including load balancers and image pulls.
    pub fn budget(self) -> Duration {
        Duration::from_secs(match self {
            Step::Namespace | Step::RemoteSecret => 60,
            Step::ExposePrometheus | Step::Kiali => 420,
            Step::ClusterPrometheus
            | Step::RemoteWrite
            | Step::AggregateMetrics
            | Step::KialiOperator
            | Step::RemoteCluster
            | Step::Probes => 300,
        })
    }

    /// The width of the longest title, for columns.
    pub const WIDTH: usize = 18;
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.title())
    }
}
