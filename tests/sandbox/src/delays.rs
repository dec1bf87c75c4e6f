//! How long the servers take: nothing in tests, or the times measured with the real operator, Kiali and a cloud load
//! balancer, so that a demo and a benchmark show realistic times.

use std::time::Duration;

/// A set of delays. It does not depend on the tool that installs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delays {
    /// From the binding of the operator's pod until its process works.
    pub operator_start: Duration,
    /// A complete reconcile, until the condition `Successful`.
    pub reconcile: Duration,
    /// From the start of a reconcile until the ServiceAccount, ConfigMap and RBAC objects are written.
    pub reconcile_rbac: Duration,
    /// From the start of a reconcile until Kiali's Deployment is written.
    pub reconcile_deployment: Duration,
    /// From a change of `kiali-multi-cluster-secret` until Kiali is restarted.
    pub roll: Duration,
    /// Deletion of a Kiali CR while the operator is running.
    pub remove: Duration,
    /// From the creation of a LoadBalancer Service until it has an address.
    pub load_balancer: Duration,
    /// From the binding of any pod until it can be Ready.
    pub pod: Duration,
    /// From the binding of Kiali's pod until its process serves.
    pub kiali_start: Duration,
    /// Whether a probe waits for its `initialDelaySeconds`.
    pub probes: bool,
    /// Whether a Prometheus uses the scrape interval of its configuration. Otherwise it scrapes every few seconds.
    pub scrapes: bool,
}

impl Delays {
    /// No delays.
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

    /// The times of the real servers, measured with the images already on the node.
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
