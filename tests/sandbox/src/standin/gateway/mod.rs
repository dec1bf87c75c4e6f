//! The data plane of every Gateway of class `istio`: listens on the address that its Service got,
//! and passes requests on by the HTTPRoutes that are in the cluster at that moment, or were when the
//! API server still answered.
//!
//! AuthorizationPolicies without a selector that allow nothing, or deny everything, it obeys.
//!
//! What it cannot show: TLS and TCP listeners, filters, retries and time limits of Envoy, Istio's own
//! routing and finer policies.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::Config;
use kube::{Api, ResourceExt};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::World;
use super::service::{self, Missing};
use super::watch::Mirror;
use crate::Cluster;
use api::Listener;

mod api;
mod endpoints;
mod proxy;
mod routes;

/// On the EndpointSlices of Gateways that have a ready pod.
pub(super) const ENDPOINTS: &str = "endpointslice.kubernetes.io/managed-by=sandbox";
/// On what istiod makes for a Gateway.
const OF_GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";

struct Mirrors {
    services: Mirror<Service>,
    pods: Mirror<Pod>,
    gateways: Mirror<DynamicObject>,
    routes: Mirror<DynamicObject>,
    policies: Mirror<DynamicObject>,
}

/// What one listening socket is for; another address or listener is another socket.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Bound {
    address: SocketAddr,
    namespace: String,
    gateway: String,
    listeners: Vec<Listener>,
}

/// Never returns.
pub async fn run(cluster: Cluster, _world: World) {
    let changed = Arc::new(Notify::new());
    let mirrors = Arc::new(Mirrors::start(&cluster, &changed));
    let mut open: HashMap<Bound, AbortOnDropHandle<()>> = HashMap::new();
    let mut endpoints = endpoints::Endpoints::default();
    loop {
        let (services, pods) = (mirrors.services.all(), mirrors.pods.all());
        let services: Vec<(&Service, bool)> = services
            .iter()
            .filter(|service| service.labels().contains_key(OF_GATEWAY))
            .map(|service| (service.as_ref(), endpoints::ready(service, &pods)))
            .collect();
        endpoints.update(&cluster, &services).await;
        let wanted = mirrors.wanted(&services).await;
        open.retain(|bound, task| wanted.contains(bound) && !task.is_finished());
        for bound in wanted {
            if open.contains_key(&bound) {
                continue;
            }
            match TcpListener::bind(bound.address).await {
                Ok(listener) => {
                    let serving =
                        proxy::serve(listener, cluster.clone(), mirrors.clone(), bound.clone());
                    open.insert(bound, AbortOnDropHandle::new(tokio::spawn(serving)));
                }
                // An address that was just left is free again a moment later.
                Err(error) => eprintln!(
                    "{}: gateway {} cannot listen on {}: {error}",
                    cluster.name(),
                    bound.gateway,
                    bound.address,
                ),
            }
        }
        let _ = tokio::time::timeout(Duration::from_millis(300), changed.notified()).await;
    }
}

impl Mirrors {
    fn start(cluster: &Cluster, changed: &Arc<Notify>) -> Mirrors {
        let of_group =
            |group, kind| ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let kind = |kind| of_group("gateway.networking.k8s.io", kind);
        let mirror = |kind: ApiResource| {
            let api = Api::all_with(cluster.client(), &kind);
            Mirror::start(api, Config::default(), kind, changed.clone())
        };
        let services = Api::all(cluster.client());
        let pods = Api::all(cluster.client());
        Mirrors {
            services: Mirror::start(services, Config::default(), (), changed.clone()),
            pods: Mirror::start(pods, Config::default(), (), changed.clone()),
            gateways: mirror(kind("Gateway")),
            routes: mirror(kind("HTTPRoute")),
            policies: mirror(of_group("security.istio.io", "AuthorizationPolicy")),
        }
    }

    /// Whether a policy of the Gateway's namespace, or of the root namespace, denies all there is.
    fn denied(&self, namespace: &str) -> bool {
        self.policies.all().iter().any(|policy| {
            let spec = &policy.data["spec"];
            let here = policy.namespace();
            let here = here.as_deref();
            let plain = ["selector", "targetRef", "targetRefs"];
            let rules = spec["rules"].as_array();
            let denies = match spec["action"].as_str().unwrap_or("ALLOW") {
                "ALLOW" => rules.is_none_or(Vec::is_empty),
                "DENY" => rules.is_some_and(|rules| rules.contains(&serde_json::json!({}))),
                _ => false,
            };
            let held = here == Some("istio-system") || here == Some(namespace);
            held && denies && plain.iter().all(|field| spec[field].is_null())
        })
    }

    /// A ready pod of one Service.
    fn backend(&self, namespace: &str, name: &str, port: u16) -> Result<SocketAddr, Missing> {
        let services = self.services.all();
        let service = services
            .iter()
            .find(|s| s.name_any() == name && s.namespace().as_deref() == Some(namespace));
        service::among(service.ok_or(Missing::Service)?, port, &self.pods.all())
    }

    /// Every socket that there should be now: none of a Gateway without a ready pod.
    async fn wanted(&self, services: &[(&Service, bool)]) -> Vec<Bound> {
        let gateways = self.gateways.all();
        let mut wanted = Vec::new();
        for (service, _) in services.iter().filter(|(_, ready)| *ready) {
            let name = service
                .labels()
                .get(OF_GATEWAY)
                .cloned()
                .unwrap_or_default();
            let of = gateways
                .iter()
                .find(|g| g.name_any() == name && g.namespace() == service.namespace());
            let Some(spec) = of.and_then(|gateway| spec(gateway)) else {
                continue;
            };
            for ip in addresses(service).await {
                let mut ports: Vec<u16> = spec.http().map(|l| l.port).collect();
                ports.dedup();
                let served = ports.into_iter().filter(|port| exposes(service, *port));
                wanted.extend(served.map(|port| Bound {
                    address: SocketAddr::new(ip, port),
                    namespace: service.namespace().unwrap_or_default(),
                    gateway: name.clone(),
                    listeners: spec.http().filter(|l| l.port == port).cloned().collect(),
                }));
            }
        }
        wanted
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    gateway_class_name: String,
    listeners: Vec<Listener>,
}

impl Spec {
    fn http(&self) -> impl Iterator<Item = &Listener> {
        self.listeners
            .iter()
            .filter(|listener| listener.protocol == "HTTP")
    }
}

fn spec(gateway: &DynamicObject) -> Option<Spec> {
    let spec: Spec = serde_json::from_value(gateway.data.get("spec")?.clone()).ok()?;
    (spec.gateway_class_name == "istio").then_some(spec)
}

fn exposes(service: &Service, port: u16) -> bool {
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    ports.into_iter().any(|p| p.port == i32::from(port))
}

/// A host name is resolved as a client would: only one that leads to this machine can be served.
async fn addresses(service: &Service) -> Vec<IpAddr> {
    let balancer = service
        .status
        .as_ref()
        .and_then(|status| status.load_balancer.as_ref());
    let mut found = Vec::new();
    for ingress in balancer
        .iter()
        .flat_map(|balancer| balancer.ingress.iter().flatten())
    {
        if let Some(ip) = ingress.ip.as_ref().and_then(|ip| ip.parse().ok()) {
            found.push(ip);
        } else if let Some(name) = &ingress.hostname
            && let Ok(resolved) = tokio::net::lookup_host((name.as_str(), 0)).await
        {
            found.extend(
                resolved
                    .map(|address| address.ip())
                    .filter(IpAddr::is_loopback),
            );
        }
    }
    found
}
