//! The pods of Gateways of class `istio`. Each is a real Envoy that the cluster's istiod configures, as in a container,
//! with the token, the CA and the settings that istiod gave the pod.
//!
//! What it cannot show: Istio's own build of Envoy and the agent beside it (metrics of requests, certificates for other
//! workloads and therefore mutual TLS with them), endpoints in other clusters, rules about the address of a client. An
//! Envoy starts with a token for half a day and gets no new one.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::Config;
use kube::{Api, ResourceExt};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::Notify;

use super::container::Container;
use super::watch::Mirror;
use crate::Cluster;

mod bootstrap;
mod endpoints;
mod workloads;

/// The label of the EndpointSlices of Gateways that have a ready pod.
pub(super) const ENDPOINTS: &str = "endpointslice.kubernetes.io/managed-by=sandbox";
/// The label of objects that istiod creates for a Gateway.
const OF_GATEWAY: &str = "gateway.networking.k8s.io/gateway-name";
const OF_CLASS: &str = "gateway.networking.k8s.io/gateway-class-name";
/// The container with Envoy.
pub(super) const CONTAINER: &str = "istio-proxy";

/// Whether an object of istiod with these labels belongs to a Gateway with an Envoy.
pub(super) fn is_one(labels: &BTreeMap<String, String>) -> bool {
    labels.get(OF_CLASS).is_some_and(|class| class == "istio")
}

/// Runs Envoy, the program of the pod.
pub(super) async fn envoy(container: Container) -> i32 {
    match start(&container).await {
        Ok(code) => code,
        Err(error) => {
            container.log(format!("{error:#}"));
            1
        }
    }
}

async fn start(container: &Container) -> Result<i32> {
    let config = container.dir.join("envoy.json");
    std::fs::write(&config, bootstrap::of(container)?.to_string())?;
    let program = &container.world.envoy;
    let mut child = Command::from(container.cluster.command(program))
        .arg("--config-path")
        .arg(&config)
        // Otherwise, Envoys would look for each other in shared memory.
        .args(["--disable-hot-restart", "--concurrency", "1"])
        .args(["--log-level", "warning"])
        .args(["--component-log-level", "misc:error"])
        .current_dir(&container.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let stderr = child.stderr.take().context("no stderr")?;
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        container.log(line);
    }
    Ok(child.wait().await?.code().unwrap_or(137))
}

/// Tells istiod about the pods in place of the controllers. Never returns.
pub async fn run(cluster: Cluster) {
    let changed = Arc::new(Notify::new());
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
    let kind = ApiResource::from_gvk(&kind);
    let services = Api::<Service>::all(cluster.client());
    let services = Mirror::start(services, Config::default(), (), changed.clone());
    let pods = Api::<Pod>::all(cluster.client());
    let pods = Mirror::start(pods, Config::default(), (), changed.clone());
    let routes = Api::<DynamicObject>::all_with(cluster.client(), &kind);
    let routes = Mirror::start(routes, Config::default(), kind, changed.clone());
    let mut endpoints = endpoints::Endpoints::default();
    let mut workloads = workloads::Workloads::default();
    loop {
        let (services, pods, routes) = (services.all(), pods.all(), routes.all());
        let of_gateways: Vec<(&Service, bool)> = services
            .iter()
            .filter(|service| service.labels().contains_key(OF_GATEWAY))
            .map(|service| (service.as_ref(), endpoints::ready(service, &pods)))
            .collect();
        let backends = workloads::wanted(&services, &pods, &routes);
        tokio::join!(
            endpoints.update(&cluster, &of_gateways),
            workloads.update(&cluster, backends),
        );
        let _ = tokio::time::timeout(Duration::from_millis(300), changed.notified()).await;
    }
}
