//! Takes a cluster from an API server that answers to one that can run pods.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{from_value, json};
use tokio::time::sleep;

use super::Addresses;

pub async fn add_node(client: &Client, cluster: &str, addresses: Addresses) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    let name = node_name(cluster);
    // The pod range is on loopback, so that a process can listen on the address of every pod.
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

/// Waits until pods can be created in a namespace and scheduled on the node.
pub async fn takes_work(client: &Client, cluster: &str) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(180);
    while let Some(lack) = lack(client, &node_name(cluster)).await? {
        ensure!(
            Instant::now() < end,
            "{cluster}, after three minutes: {lack}"
        );
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Returns what is still missing, and which component creates it.
async fn lack(client: &Client, node: &str) -> Result<Option<&'static str>> {
    let nodes: Api<Node> = Api::all(client.clone());
    let Some(node) = nodes.get_opt(node).await? else {
        return Ok(Some("its node is gone"));
    };
    if !is_ready(&node) {
        return Ok(Some("kwok has not made its node ready"));
    }
    if node
        .spec
        .and_then(|spec| spec.taints)
        .is_some_and(|taints| !taints.is_empty())
    {
        return Ok(Some("the controllers have not freed its node of taints"));
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    // Without it, every pod is rejected.
    let account = accounts.get_opt("default").await?;
    Ok(account
        .is_none()
        .then_some("the controllers have made no ServiceAccount default/default"))
}

fn is_ready(node: &Node) -> bool {
    let status = node.status.as_ref();
    let mut conditions = status
        .into_iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|c| c.type_ == "Ready" && c.status == "True")
}

fn node_name(cluster: &str) -> String {
    format!("{cluster}-node")
}
