//! The guide's table of contents: the steps by which progress, errors and `status` name what they
//! speak of. No behaviour hangs on it.

use std::fmt;
use std::time::Duration;

/// Where Istio's control plane and the Prometheus of each cluster are.
pub const ISTIO_NAMESPACE: &str = "istio-system";

/// A section of the guide, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Namespace,
    ClusterPrometheus,
    ExposePrometheus,
    AggregateMetrics,
    KialiOperator,
    RemoteCluster,
    RemoteSecret,
    Kiali,
}

impl Step {
    /// The short name that progress lines and errors carry.
    pub fn title(self) -> &'static str {
        match self {
            Step::Namespace => "namespace",
            Step::ClusterPrometheus => "cluster prometheus",
            Step::ExposePrometheus => "expose prometheus",
            Step::AggregateMetrics => "aggregate metrics",
            Step::KialiOperator => "kiali operator",
            Step::RemoteCluster => "remote cluster",
            Step::RemoteSecret => "remote secret",
            Step::Kiali => "kiali",
        }
    }

    /// The longest that it may take, load balancers and image pulls included.
    pub fn budget(self) -> Duration {
        Duration::from_secs(match self {
            Step::Namespace | Step::RemoteSecret => 60,
            Step::ExposePrometheus | Step::Kiali => 420,
            Step::ClusterPrometheus
            | Step::AggregateMetrics
            | Step::KialiOperator
            | Step::RemoteCluster => 300,
        })
    }

    /// The longest title, for columns.
    pub const WIDTH: usize = 18;
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}
