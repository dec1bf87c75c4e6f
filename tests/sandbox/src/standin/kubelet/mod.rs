//! A kubelet for the pods that must really work: Prometheus and the Envoys of Gateways as real processes, and the Kiali
//! operator, Kiali and ztunnel as stand-ins. kwok simulates all other pods.
//!
//! What it cannot show: images, resource limits, security contexts, graceful termination (a deleted pod is killed at
//! once), init containers and sidecars (they are reported as running).

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Preconditions};
use kube::runtime::watcher::{Config, Event};
use kube::{Api, ResourceExt};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::World;
use super::pod_commands::control;
use crate::Cluster;
use program::Program;

mod debugging;
mod files;
pub mod log;
pub mod mounts;
mod pod;
mod probes;
mod program;
mod status;
mod volumes;

pub use debugging::resource as kwok_resource;
pub use pod::TOKEN;

/// What the pods of a cluster share.
pub struct Node {
    cluster: Cluster,
    world: World,
    /// The server to which commands in pods connect.
    control: SocketAddr,
    addresses: AtomicU16,
    gateways: AtomicU16,
    copies: volumes::Copies,
}

impl Node {
    /// Returns an address that was not used recently, because a new pod must not get the connections of an ended one.
    fn address(&self, program: Program) -> Ipv4Addr {
        let addresses = self.cluster.addresses();
        match program {
            Program::Gateway => {
                addresses.gateway_pod(self.gateways.fetch_add(1, Ordering::Relaxed))
            }
            _ => addresses.process_pod(self.addresses.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

/// Runs the pods of the cluster. Never returns.
pub async fn run(cluster: Cluster, world: World) {
    let (control, _serving) = match control::serve(&cluster, &world).await {
        Ok(serving) => serving,
        Err(error) => {
            eprintln!("{}: commands in pods: {error:#}", cluster.name());
            return std::future::pending().await;
        }
    };
    let pods = Api::<Pod>::all(cluster.client());
    let mut kubelet = Kubelet {
        node: Arc::new(Node {
            copies: volumes::Copies::start(&cluster),
            cluster,
            world,
            control,
            addresses: AtomicU16::new(0),
            gateways: AtomicU16::new(0),
        }),
        running: HashMap::new(),
        listed: HashSet::new(),
    };
    let mut events = pin!(super::watch::events(pods, Config::default()));
    while let Some(event) = events.next().await {
        kubelet.handle(event);
    }
}

struct Kubelet {
    node: Arc<Node>,
    running: HashMap<String, AbortOnDropHandle<()>>,
    /// The pods that the list in progress has shown so far.
    listed: HashSet<String>,
}

impl Kubelet {
    fn handle(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.extend(pod.uid());
                self.applied(pod);
            }
            // End the pods that were deleted while the connection to the API server was lost.
            Event::InitDone => self.running.retain(|uid, _| self.listed.contains(uid)),
            Event::Apply(pod) => self.applied(pod),
            Event::Delete(pod) => {
                if let Some(life) = self.running.remove(&pod.uid().unwrap_or_default()) {
                    tokio::spawn(bury(self.node.clone(), pod, Some(life.detach())));
                }
            }
        }
    }

    fn applied(&mut self, pod: Pod) {
        let bound = pod
            .spec
            .as_ref()
            .is_some_and(|spec| spec.node_name.is_some());
        let (Some((played, program)), Some(uid), true) = (Program::of(&pod), pod.uid(), bound)
        else {
            return;
        };
        let node = self.node.clone();
        if pod.metadata.deletion_timestamp.is_some() {
            let life = self.running.remove(&uid).map(AbortOnDropHandle::detach);
            tokio::spawn(bury(node, pod, life));
        } else {
            self.running.entry(uid).or_insert_with(|| {
                let life = pod::live(node, pod, played, program);
                AbortOnDropHandle::new(tokio::spawn(life))
            });
        }
    }
}

/// Ends the process and then deletes the pod, so that the process has ended when the pod is gone.
async fn bury(node: Arc<Node>, pod: Pod, life: Option<JoinHandle<()>>) {
    if let Some(life) = life {
        life.abort();
        let _ = life.await;
    }
    debugging::remove(&node, &pod).await;
    let namespace = pod.namespace().unwrap_or_default();
    let params = DeleteParams::default()
        .grace_period(0)
        .preconditions(Preconditions {
            uid: pod.uid(),
            resource_version: None,
        });
    let _ = Api::<Pod>::namespaced(node.cluster.client(), &namespace)
        .delete(&pod.name_any(), &params)
        .await;
    let _ = tokio::fs::remove_dir_all(pod::folder(&node.cluster, &pod)).await;
}
