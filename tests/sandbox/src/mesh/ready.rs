//! Waits for the workloads of a cluster.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use tokio::time::{sleep, timeout};

use super::peers::GATEWAY;
use crate::cluster::Cluster;

/// Returns when every Deployment and DaemonSet is available and the east-west gateway has an address. Needs the
/// stand-ins.
pub async fn ready(cluster: &Cluster) -> Result<()> {
    let deployments: Api<Deployment> = Api::all(cluster.client());
    let sets: Api<DaemonSet> = Api::all(cluster.client());
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway");
    let kind = ApiResource::from_gvk(&kind);
    let gateways: Api<DynamicObject> =
        Api::namespaced_with(cluster.client(), "istio-system", &kind);
    let any = ListParams::default();
    let wait = async {
        loop {
            let (deployments, sets) = tokio::try_join!(deployments.list(&any), sets.list(&any))?;
            let all = deployments.iter().all(available) && sets.iter().all(scheduled);
            if all && has_address(&gateways.get(GATEWAY).await?) {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = timeout(Duration::from_secs(180), wait).await;
    waited.with_context(|| {
        format!(
            "apps of {} are not ready after three minutes",
            cluster.name()
        )
    })?
}

fn has_address(gateway: &DynamicObject) -> bool {
    let addresses = gateway.data["status"]["addresses"].as_array();
    addresses.is_some_and(|addresses| !addresses.is_empty())
}

fn available(deployment: &Deployment) -> bool {
    let status = deployment.status.as_ref();
    status.and_then(|status| status.available_replicas) == deployment.spec.replicas
}

fn scheduled(set: &DaemonSet) -> bool {
    let Some(status) = &set.status else {
        return false;
    };
    status.number_ready > 0 && status.number_ready == status.desired_number_scheduled
}
