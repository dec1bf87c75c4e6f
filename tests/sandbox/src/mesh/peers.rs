//! Joins clusters to one mesh as Istio's multi-cluster documentation does: an east-west gateway in each cluster, and
//! for each istiod a Secret with a kubeconfig of every other cluster.
//!
//! What it cannot show: traffic through the gateway, because kwok simulates its pod.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::manifests::apply;
use crate::cluster::Cluster;

pub async fn join(clusters: &[Cluster]) -> Result<()> {
    let each = clusters.iter().enumerate().map(async |(index, cluster)| {
        let others = clusters
            .iter()
            .filter(|other| other.name() != cluster.name());
        let secrets = others.map(remote_secret).collect::<Result<Vec<_>>>()?;
        let objects = [vec![east_west(index)], secrets].concat();
        apply(&cluster.client(), "istioctl", &objects).await
    });
    try_join_all(each).await?;
    Ok(())
}

pub const GATEWAY: &str = "istio-eastwestgateway";

fn east_west(index: usize) -> Value {
    let network = format!("network{}", index + 1);
    let options = json!({"gateway.istio.io/tls-terminate-mode": "ISTIO_MUTUAL"});
    let tls = json!({"mode": "Terminate", "options": options});
    let listener = json!({"name": "mesh", "port": 15008, "protocol": "HBONE", "tls": tls});
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {
            "name": GATEWAY,
            "namespace": "istio-system",
            "labels": {"topology.istio.io/network": network},
        },
        "spec": {"gatewayClassName": "istio-east-west", "listeners": [listener]},
    })
}

fn remote_secret(other: &Cluster) -> Result<Value> {
    let name = other.name();
    let kubeconfig = serde_json::to_string(other.kubeconfig_data())?;
    Ok(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": format!("istio-remote-secret-{name}"),
            "namespace": "istio-system",
            "labels": {"istio/multiCluster": "true"},
            "annotations": {"networking.istio.io/cluster": name},
        },
        "data": {name: STANDARD.encode(kubeconfig)},
    }))
}
