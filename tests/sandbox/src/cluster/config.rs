//! The configuration for kwokctl: where everything listens, what is logged and how pods behave.

use crate::cluster::Addresses;
use crate::delays::Delays;
use crate::tools::Tools;

// Ports of a cluster, each as an index into its block.
pub const API_SERVER: u16 = 0;
const ETCD: u16 = 1;
const ETCD_PEER: u16 = 2;
pub const CONTROLLER_MANAGER: u16 = 3;
const SCHEDULER: u16 = 4;
const KWOK: u16 = 5;
pub const OIDC: u16 = 6;
/// A store for metrics.
pub const STORE: u16 = 7;
/// The same without TLS, if it has TLS.
pub const PLAIN_STORE: u16 = 8;
pub const ISTIOD_HTTP: u16 = 10;
/// The first of five ports for the other servers of istiod.
pub const ISTIOD_OTHERS: u16 = 11;
pub const ISTIOD_XDS: u16 = ISTIOD_OTHERS + 2;

/// Images whose pods run as a process or a stand-in and are not simulated by kwok.
pub const PROCESS_IMAGES: &str = "prom/prometheus|kiali/kiali|kiali-operator|ztunnel";

/// Logs all requests except for two kinds: the control plane renews its Leases every few seconds, and the API server
/// reads a namespace at each write into it. In blocking mode, a request is logged before it is answered, so that
/// readers of the log need not wait.
pub const AUDIT: &str = r"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    resources: [{group: coordination.k8s.io, resources: [leases]}]
  - level: None
    users:
      - system:apiserver
  - level: Metadata
";

/// Nobody is trusted but the cluster itself. The API server reads the file again when it changes.
pub const AUTHENTICATION: &str = "apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
";

pub fn kwokctl(
    tools: &Tools,
    addresses: Addresses,
    audit_policy: &str,
    authentication: &str,
) -> String {
    let port = |k| addresses.port(k);
    let (etcd, api_server) = (tools.etcd.display(), tools.kube_apiserver.display());
    let (scheduler, kwok) = (tools.kube_scheduler.display(), tools.kwok.display());
    let (api_port, etcd_port, etcd_peer) = (port(API_SERVER), port(ETCD), port(ETCD_PEER));
    let scheduler_port = port(SCHEDULER);
    let kwok_port = port(KWOK);
    // The API server does not advertise a loopback address, and without a default route it finds no other one.
    // 192.0.2.1 is reserved for documentation. Data need not survive a power failure. A scheduler exits if it loses its
    // Lease while the API server is paused, and here no kubelet restarts it.
    format!(
        r#"apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
options:
  runtime: binary
  bindAddress: 127.0.0.1
  etcdBinary: "{etcd}"
  kubeApiserverBinary: "{api_server}"
  disable: [kube-controller-manager]
  kubeSchedulerBinary: "{scheduler}"
  kwokControllerBinary: "{kwok}"
  kubeApiserverPort: {api_port}
  etcdPort: {etcd_port}
  etcdPeerPort: {etcd_peer}
  kubeSchedulerPort: {scheduler_port}
  kwokControllerPort: {kwok_port}
  kubeAuditPolicy: "{audit_policy}"
  enableCRDs: [ClusterPortForward, PortForward, ClusterExec, Exec, ClusterLogs, Logs]
componentsPatches:
  - name: etcd
    extraArgs:
      - {{key: unsafe-no-fsync, value: "true"}}
  - name: kube-apiserver
    extraArgs:
      - {{key: audit-log-mode, value: blocking}}
      - {{key: authentication-config, value: "{authentication}"}}
      - {{key: advertise-address, value: 192.0.2.1}}
  - name: kube-scheduler
    extraArgs:
      - {{key: leader-elect, value: "false"}}
  - name: kwok-controller
    extraArgs:
      - {{key: node-ip, value: 127.0.0.1, override: true}}
"#
    )
}

/// Returns how kwok simulates nodes and pods. It loads no stages of its own if these exist.
pub fn stages(delays: Delays) -> String {
    let delay = delays.pod.as_millis();
    STAGES
        .replace("@DELAY@", &delay.to_string())
        .replace("@PROCESS_IMAGES@", PROCESS_IMAGES)
}

const STAGES: &str = include_str!("stages.yaml");
