//! From an API server that answers to a cluster that takes work.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{from_value, json};
use tokio::time::{sleep, timeout};

use super::Addresses;

pub async fn add_node(client: &Client, cluster: &str, addresses: Addresses) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let name = node_name(cluster);
    // The pod range is loopback: every pod has an address that a process can really listen on.
    let range = addresses.kwok_pods();
    let node = from_value(json!({
        "metadata": {
            "name": &name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                "kubernetes.io/hostname": &name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            },
        },
        "spec": {"podCIDR": range, "podCIDRs": [range]},
    }))?;
    nodes.create(&PostParams::default(), &node).await?;
    Ok(())
}

/// Waits until pods can be scheduled on the node and created in a namespace.
pub async fn takes_work(client: &Client, cluster: &str) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let name = node_name(cluster);
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    let wait = async {
        while !schedulable(nodes.get_opt(&name).await?) {
            sleep(Duration::from_millis(50)).await;
        }
        // Without it every pod is refused.
        while accounts.get_opt("default").await?.is_none() {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    let waited = timeout(Duration::from_secs(180), wait).await;
    waited.with_context(|| format!("{name} is not ready after three minutes"))?
}

fn node_name(cluster: &str) -> String {
    format!("{cluster}-node")
}

fn schedulable(node: Option<Node>) -> bool {
    let Some(node) = node else {
        return false;
    };
    let tainted = node
        .spec
        .and_then(|spec| spec.taints)
        .is_some_and(|t| !t.is_empty());
    let conditions = node
        .status
        .and_then(|status| status.conditions)
        .unwrap_or_default();
    let ready = conditions
        .iter()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    ready && !tainted
}
