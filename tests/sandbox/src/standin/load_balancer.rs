//! The load balancer controller of a cloud. It assigns each Service of type LoadBalancer an address after the delay
//! that was measured in a cloud, but never before the Service has a ready pod, because in a cloud the pod is ready
//! first. In the other order, istiod can miss the pod: if the Service is not the first one with its name, no endpoint
//! makes istiod look at the Gateway again.
//!
//! What it cannot show: load balancers for anything but a Gateway, the address of the client (it is always this
//! machine), health checks, node ports.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::World;
use super::gateway;
use super::watch::Mirror;
use crate::Cluster;
use forward::Forwards;

mod forward;

/// The annotation of a Service with the host name that it gets instead of an address.
const HOSTNAME: &str = "sandbox/hostname";

/// Whether Services get addresses. A test can hold them back to see what an install does in the meantime.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicBool>);

impl Switch {
    pub fn hold_back(&self, hold: bool) {
        self.0.store(hold, Ordering::Relaxed);
    }

    fn held_back(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Never returns.
pub async fn run(cluster: Cluster, world: World) {
    let changed = Arc::new(Notify::new());
    let services = Arc::new(Mirror::start(
        Api::<Service>::all(cluster.client()),
        watcher::Config::default(),
        (),
        changed.clone(),
    ));
    let pods = Arc::new(Mirror::start(
        Api::<Pod>::all(cluster.client()),
        watcher::Config::default(),
        (),
        changed.clone(),
    ));
    let mut forwards = Forwards::new(services.clone(), pods);
    let slices = Mirror::start(
        Api::<EndpointSlice>::all(cluster.client()),
        watcher::Config::default().labels(gateway::ENDPOINTS),
        (),
        changed.clone(),
    );
    let mut addresses = Pool::default();
    let mut seen: HashMap<String, Instant> = HashMap::new();
    loop {
        let waiting: Vec<_> = services.all();
        let waiting: Vec<_> = waiting.iter().filter(|s| balanced(s)).collect();
        seen.retain(|uid, _| waiting.iter().any(|s| s.uid().as_ref() == Some(uid)));
        addresses.retain(|uid| seen.contains_key(uid));
        let slices = slices.all();
        for service in waiting {
            let uid = service.uid().unwrap_or_default();
            let since = *seen.entry(uid.clone()).or_insert_with(Instant::now);
            let ready = slices.iter().any(|s| belongs(s, &uid));
            if addressed(service)
                || !ready
                || world.load_balancers.held_back()
                || since.elapsed() < world.delays().load_balancer
            {
                continue;
            }
            let address = cluster.addresses().load_balancer(addresses.take(&uid));
            let ingress = match service.annotations().get(HOSTNAME) {
                Some(name) => json!({ "hostname": name }),
                None => json!({ "ip": address.to_string(), "ipMode": "VIP" }),
            };
            if let Err(error) = assign(&cluster, service, ingress).await {
                eprintln!("load balancer of {}: {error:#}", service.name_any());
            }
        }
        forwards
            .update(|service| gateway::is_one(service.labels()))
            .await;
        // No event of the API server tells that a delay is over or that the switch was changed.
        let _ = tokio::time::timeout(Duration::from_millis(100), changed.notified()).await;
    }
}

async fn assign(cluster: &Cluster, service: &Service, ingress: Value) -> kube::Result<()> {
    let namespace = service.namespace().unwrap_or_default();
    // Fail if the Service has changed since it was read, because the annotation may be new.
    let version = json!({ "resourceVersion": service.resource_version() });
    let status = json!({ "loadBalancer": { "ingress": [ingress] } });
    let patch = json!({ "metadata": version, "status": status });
    let api = Api::<Service>::namespaced(cluster.client(), &namespace);
    match api
        .patch_status(
            &service.name_any(),
            &PatchParams::default(),
            &Patch::Merge(&patch),
        )
        .await
    {
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
        result => result.map(|_| ()),
    }
}

fn balanced(service: &Service) -> bool {
    let kind = service.spec.as_ref().and_then(|spec| spec.type_.as_deref());
    kind == Some("LoadBalancer") && service.metadata.deletion_timestamp.is_none()
}

/// Whether the slice belongs to this Service and not to an earlier one with the same name.
fn belongs(slice: &EndpointSlice, uid: &str) -> bool {
    slice.owner_references().iter().any(|o| o.uid == uid)
}

fn addressed(service: &Service) -> bool {
    let balancer = service
        .status
        .as_ref()
        .and_then(|s| s.load_balancer.as_ref());
    balancer.is_some_and(|b| b.ingress.as_ref().is_some_and(|i| !i.is_empty()))
}

/// The numbers 1 to 254 by Service. Numbers are assigned in turn and not from the lowest free one, so that a recreated
/// Service has a new address, as in a cloud.
#[derive(Default)]
struct Pool {
    taken: HashMap<String, u8>,
    last: u8,
}

impl Pool {
    fn take(&mut self, uid: &str) -> u8 {
        if let Some(number) = self.taken.get(uid) {
            return *number;
        }
        for _ in 0..254 {
            self.last = self.last % 254 + 1;
            if !self.taken.values().any(|n| *n == self.last) {
                break;
            }
        }
        self.taken.insert(uid.to_owned(), self.last);
        self.last
    }

    fn retain(&mut self, lives: impl Fn(&str) -> bool) {
        self.taken.retain(|uid, _| lives(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::Pool;

    #[test]
    fn addresses_are_stable_and_not_used_again_soon() {
        let mut pool = Pool::default();
        assert_eq!((pool.take("a"), pool.take("b"), pool.take("a")), (1, 2, 1));
        pool.retain(|uid| uid == "b");
        assert_eq!(pool.take("a"), 3);
        for n in 0..251 {
            pool.retain(|uid| uid == "b");
            pool.take(&n.to_string());
        }
        pool.retain(|uid| uid == "b");
        assert_eq!(pool.take("c"), 1);
    }
}
