//! Names of Services: EndpointSlices refuse loopback addresses, so a Service is resolved to a
//! ready pod by its selector, as kube-proxy and the cluster's DNS would have done.
//!
//! What it cannot show: a ClusterIP, session affinity, EndpointSlices written by hand.

use std::borrow::Borrow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

/// A ready pod behind `name.namespace[.svc[.cluster.local]]` and the target port of `port`.
pub async fn resolve(client: &Client, host: &str, port: u16) -> Result<SocketAddr> {
    let Some((name, namespace)) = parse(host) else {
        return Err(Missing::Service.describe(host));
    };
    backend(client, namespace, name, port)
        .await
        .map_err(|missing| missing.describe(host))
}

/// Why there is nobody to talk to; a data plane answers each differently.
#[derive(Debug)]
pub enum Missing {
    Service,
    Port,
    Pod,
    Api(kube::Error),
}

impl Missing {
    fn describe(self, host: &str) -> anyhow::Error {
        anyhow::Error::new(self).context(format!("lookup {host}"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Service => f.write_str("no such host"),
            Missing::Port => f.write_str("connection refused: the Service has no such port"),
            Missing::Pod => f.write_str("connection refused: the Service has no ready pod"),
            Missing::Api(error) => write!(f, "the API server cannot be asked: {error}"),
        }
    }
}

impl std::error::Error for Missing {}

/// A ready pod of one Service.
pub async fn backend(
    client: &Client,
    namespace: &str,
    name: &str,
    port: u16,
) -> Result<SocketAddr, Missing> {
    let service = Api::<Service>::namespaced(client.clone(), namespace)
        .get_opt(name)
        .await
        .map_err(Missing::Api)?
        .ok_or(Missing::Service)?;
    let labels: Vec<String> = selector(&service)
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    let pods = Api::<Pod>::namespaced(client.clone(), namespace)
        .list(&ListParams::default().labels(&labels.join(",")))
        .await
        .map_err(Missing::Api)?;
    among(&service, port, &pods.items)
}

/// The same, of the pods that somebody knows.
pub fn among(
    service: &Service,
    port: u16,
    pods: &[impl Borrow<Pod>],
) -> Result<SocketAddr, Missing> {
    let spec = service.spec.as_ref();
    let wanted = spec
        .and_then(|spec| spec.ports.as_ref())
        .into_iter()
        .flatten()
        .find(|p| p.port == i32::from(port) && tcp(p.protocol.as_deref()))
        .ok_or(Missing::Port)?;
    behind(service, pods)
        .find_map(|pod| Some(SocketAddr::new(address(pod)?, target(pod, wanted)?)))
        .ok_or(Missing::Pod)
}

/// Its ready pods.
pub fn behind<'a>(
    service: &'a Service,
    pods: &'a [impl Borrow<Pod>],
) -> impl Iterator<Item = &'a Pod> {
    let selects = |pod: &&Pod| {
        selector(service).next().is_some()
            && pod.metadata.namespace == service.metadata.namespace
            && selector(service).all(|(k, v)| pod.labels().get(k) == Some(v))
    };
    pods.iter()
        .map(Borrow::borrow)
        .filter(move |pod| selects(pod) && ready(pod))
}

pub fn selector(service: &Service) -> impl Iterator<Item = (&String, &String)> {
    let spec = service.spec.iter();
    spec.filter_map(|spec| spec.selector.as_ref()).flatten()
}

/// Name and namespace of a Service's host name. A bare name depends on the pod that asks, which
/// nothing here knows, so it does not resolve.
pub fn parse(host: &str) -> Option<(&str, &str)> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = host
        .strip_suffix(".svc.cluster.local")
        .unwrap_or_else(|| host.strip_suffix(".svc").unwrap_or(host));
    match host.split_once('.') {
        Some((name, namespace)) if !name.is_empty() && !namespace.is_empty() => {
            (!namespace.contains('.') && namespace.parse::<u8>().is_err())
                .then_some((name, namespace))
        }
        _ => None,
    }
}

/// Ready, and not on its way out.
pub fn ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    pod.metadata.deletion_timestamp.is_none()
        && conditions
            .into_iter()
            .flatten()
            .any(|c| c.type_ == "Ready" && c.status == "True")
}

pub fn address(pod: &Pod) -> Option<IpAddr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

fn target(pod: &Pod, port: &ServicePort) -> Option<u16> {
    let number = match &port.target_port {
        None | Some(IntOrString::Int(0)) => port.port,
        Some(IntOrString::Int(number)) => *number,
        Some(IntOrString::String(name)) => {
            pod.spec
                .iter()
                .flat_map(|spec| &spec.containers)
                .flat_map(|container| container.ports.iter().flatten())
                .find(|p| p.name.as_ref() == Some(name) && tcp(p.protocol.as_deref()))?
                .container_port
        }
    };
    u16::try_from(number).ok()
}

fn tcp(protocol: Option<&str>) -> bool {
    protocol.unwrap_or("TCP") == "TCP"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn host_names() {
        assert_eq!(parse("prometheus.kiali"), Some(("prometheus", "kiali")));
        assert_eq!(parse("a.b.svc"), Some(("a", "b")));
        assert_eq!(parse("a.b.svc.cluster.local"), Some(("a", "b")));
        assert_eq!(parse("a.b.svc.cluster.local."), Some(("a", "b")));
        assert_eq!(parse("a"), None);
        assert_eq!(parse("a.example.com"), None);
        assert_eq!(parse("127.0.0.1"), None);
        assert_eq!(parse(".b"), None);
    }

    #[test]
    fn named_target_port() -> Result<()> {
        let pod: Pod = serde_json::from_value(json!({
            "spec": {"containers": [{"name": "a", "ports": [{"name": "web", "containerPort": 81}]}]}
        }))?;
        let port = |target: serde_json::Value| -> Result<ServicePort> {
            Ok(serde_json::from_value(
                json!({"port": 80, "targetPort": target}),
            )?)
        };
        assert_eq!(target(&pod, &port(json!("web"))?), Some(81));
        assert_eq!(target(&pod, &port(json!("nope"))?), None);
        assert_eq!(target(&pod, &port(json!(9090))?), Some(9090));
        assert_eq!(target(&pod, &port(json!(null))?), Some(80));
        Ok(())
    }
}
