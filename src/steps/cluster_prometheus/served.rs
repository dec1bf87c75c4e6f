//! Finds the pod behind the Service of a cluster's Prometheus, ours or one that was there before.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{NAME, port, service};
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::forward::Target;
use crate::k8s::{Scope, pods};

/// A pod that serves it, and the port of its API.
pub async fn served(scope: &Scope<'_>) -> Result<Target> {
    let service = service(scope).await?;
    let service =
        service.with_context(|| format!("there is no Service {ISTIO_NAMESPACE}/{NAME}"))?;
    let port = port(scope, &service)?;
    let spec = service.spec.unwrap_or_default();
    let selector = spec.selector.unwrap_or_default();
    ensure!(
        !selector.is_empty(),
        "Service {ISTIO_NAMESPACE}/{NAME} selects no pods"
    );
    let labels = selector
        .iter()
        .map(|(label, value)| format!("{label}={value}"));
    let labels = labels.collect::<Vec<_>>().join(",");
    let pods = pods::labelled(scope, ISTIO_NAMESPACE, &labels).await?;
    let pod = pods.into_iter().rev().find(pods::is_ready);
    let pod =
        pod.with_context(|| format!("no pod of Service {ISTIO_NAMESPACE}/{NAME} is ready"))?;
    let mut ports = spec.ports.unwrap_or_default().into_iter();
    let target = ports
        .find(|one| one.port == i32::from(port))
        .and_then(|one| one.target_port);
    let port = match target {
        None => Some(port),
        Some(IntOrString::Int(port)) => u16::try_from(port).ok(),
        Some(IntOrString::String(name)) => port_named(&pod, &name),
    };
    Ok(Target {
        namespace: ISTIO_NAMESPACE.into(),
        port: port.with_context(|| format!("Service {ISTIO_NAMESPACE}/{NAME} leads to no port"))?,
        pod: pod.metadata.name.unwrap_or_default(),
    })
}

fn port_named(pod: &Pod, name: &str) -> Option<u16> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let port = ports.find(|port| port.name.as_deref() == Some(name))?;
    u16::try_from(port.container_port).ok()
}
