//! How long the servers take: all zero for tests, or what the real operator, Kiali and a cloud's
//! load balancer were measured to take, so that a demo and a benchmark show honest times.

use std::time::Duration;

/// One set of delays, the same for whatever tool installs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delays {
    /// From the operator pod's binding until its process works.
    pub operator_start: Duration,
    /// A whole reconcile, until `Successful`.
    pub reconcile: Duration,
    /// Into a reconcile: ServiceAccount, ConfigMap and RBAC are written.
    pub reconcile_rbac: Duration,
    /// Into a reconcile: Kiali's Deployment is written.
    pub reconcile_deployment: Duration,
    /// From a change of `kiali-multi-cluster-secret` until Kiali is rolled.
    pub roll: Duration,
    /// Deleting a Kiali CR with a live operator.
    pub remove: Duration,
    /// From a LoadBalancer Service until it has an address.
    pub load_balancer: Duration,
    /// From any pod's binding until it can be Ready.
    pub pod: Duration,
    /// From Kiali's pod's binding until its process serves.
    pub kiali_start: Duration,
    /// Whether a probe's `initialDelaySeconds` is waited for.
    pub probes: bool,
    /// Whether a Prometheus scrapes as seldom as its configuration says; every few seconds otherwise.
    pub scrapes: bool,
}

impl Delays {
    /// Everything at once.
    pub const NONE: Delays = Delays {
        operator_start: Duration::ZERO,
        reconcile: Duration::ZERO,
        reconcile_rbac: Duration::ZERO,
        reconcile_deployment: Duration::ZERO,
        roll: Duration::ZERO,
        remove: Duration::ZERO,
        load_balancer: Duration::ZERO,
        pod: Duration::ZERO,
        kiali_start: Duration::ZERO,
        probes: false,
        scrapes: false,
    };

    /// What the real ones were measured to take, images already on the node.
    pub const MEASURED: Delays = Delays {
        operator_start: Duration::from_millis(8_000),
        reconcile: Duration::from_millis(16_000),
        reconcile_rbac: Duration::from_millis(13_400),
        reconcile_deployment: Duration::from_millis(14_200),
        roll: Duration::from_millis(1_500),
        remove: Duration::from_millis(5_500),
        load_balancer: Duration::from_millis(8_000),
        pod: Duration::from_millis(3_000),
        kiali_start: Duration::from_millis(5_000),
        probes: true,
        scrapes: true,
    };
}
