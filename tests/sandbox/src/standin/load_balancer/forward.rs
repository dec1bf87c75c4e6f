//! Listens on the addresses of Services and forwards each connection to a ready pod.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::standin::service;
use crate::standin::watch::Mirror;

/// Identifies a listening socket. A different address, port or Service needs a new socket.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Bound {
    address: SocketAddr,
    service: String,
}

/// The open sockets.
pub struct Forwards {
    services: Arc<Mirror<Service>>,
    pods: Arc<Mirror<Pod>>,
    open: HashMap<Bound, AbortOnDropHandle<()>>,
}

impl Forwards {
    pub fn new(services: Arc<Mirror<Service>>, pods: Arc<Mirror<Pod>>) -> Forwards {
        Forwards {
            services,
            pods,
            open: HashMap::new(),
        }
    }

    /// Opens and closes sockets. A Service without a ready pod has none.
    pub async fn update(&mut self, served: impl Fn(&Service) -> bool) {
        let mut wanted = Vec::new();
        let (services, pods) = (self.services.all(), self.pods.all());
        for service in services.iter().filter(|service| served(service)) {
            let ports = ports(service).filter(|port| service::among(service, *port, &pods).is_ok());
            let ports: Vec<u16> = ports.collect();
            let addresses = if ports.is_empty() {
                Vec::new()
            } else {
                addresses(service).await
            };
            wanted.extend(addresses.iter().flat_map(|ip| {
                ports.iter().map(|port| Bound {
                    address: SocketAddr::new(*ip, *port),
                    service: service.uid().unwrap_or_default(),
                })
            }));
        }
        self.open
            .retain(|bound, task| wanted.contains(bound) && !task.is_finished());
        for bound in wanted {
            if self.open.contains_key(&bound) {
                continue;
            }
            match TcpListener::bind(bound.address).await {
                Ok(listener) => {
                    let (services, pods) = (self.services.clone(), self.pods.clone());
                    let serving = serve(listener, services, pods, bound.clone());
                    let serving = AbortOnDropHandle::new(tokio::spawn(serving));
                    self.open.insert(bound, serving);
                }
                // An address that was just released becomes free a moment later.
                Err(error) => {
                    eprintln!("load balancer: cannot listen on {}: {error}", bound.address)
                }
            }
        }
    }
}

/// Accepts connections. They end with the socket, as with a deleted load balancer.
async fn serve(
    listener: TcpListener,
    services: Arc<Mirror<Service>>,
    pods: Arc<Mirror<Pod>>,
    bound: Bound,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else {
                    // There are too many open files. Wait until some are closed.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let services = services.all();
                let service = services.iter().find(|s| s.uid().as_ref() == Some(&bound.service));
                let to = service.and_then(|service| {
                    service::among(service, bound.address.port(), &pods.all()).ok()
                });
                if let Some(to) = to {
                    connections.spawn(pass(client, to));
                }
            }
        }
    }
}

async fn pass(mut client: TcpStream, to: SocketAddr) {
    if let Ok(mut pod) = TcpStream::connect(to).await {
        let _ = copy_bidirectional(&mut client, &mut pod).await;
    }
}

fn ports(service: &Service) -> impl Iterator<Item = u16> {
    let spec = service.spec.iter();
    let ports = spec.flat_map(|spec| spec.ports.iter().flatten());
    ports.filter_map(|port| u16::try_from(port.port).ok())
}

/// Returns the addresses of a Service. A host name is resolved as by a client, so only one that leads to this machine
/// can be served.
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
