//! The texts that kwokctl is given: where everything listens, what is logged, how pods behave.

use crate::cluster::Addresses;
use crate::delays::Delays;
use crate::tools::Tools;

// Ports of a cluster, as the k-th of its block.
pub const API_SERVER: u16 = 0;
const ETCD: u16 = 1;
const ETCD_PEER: u16 = 2;
pub const CONTROLLER_MANAGER: u16 = 3;
const SCHEDULER: u16 = 4;
const KWOK: u16 = 5;
pub const OIDC: u16 = 6;
pub const ISTIOD_HTTP: u16 = 10;
/// This one and the four after it: istiod's other servers.
pub const ISTIOD_OTHERS: u16 = 11;
pub const ISTIOD_XDS: u16 = ISTIOD_OTHERS + 2;

/// Images whose pods are played by a process or a stand-in, and not by kwok.
pub const PROCESS_IMAGES: &str = "prom/prometheus|kiali/kiali|kiali-operator|ztunnel";

/// Leases are renewed every few seconds by the parts of the control plane, and the API server asks
/// itself for a namespace at each write into it; nothing else is silent. Blocking mode writes a request
/// down before it is answered, so a reader needs not wait.
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
    // The API server refuses to advertise a loopback address, and without a default route it finds
    // no other: 192.0.2.1 is nobody's by definition. Data need not survive a power cut. A
    // scheduler that loses its lease to a paused API server ends, and here no kubelet starts it again.
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

/// How nodes and pods behave. Given once: with these present kwok loads none of its own.
pub fn stages(delays: Delays) -> String {
    let delay = delays.pod.as_millis();
    STAGES
        .replace("@DELAY@", &delay.to_string())
        .replace("@PROCESS_IMAGES@", PROCESS_IMAGES)
}

const STAGES: &str = include_str!("stages.yaml");
