//! Makes each Envoy of a Gateway listen only on the address of its pod. istiod tells it to listen on every interface,
//! but on one machine, Prometheus and the Envoys of other clusters listen on the same ports. The objects are created
//! before the first Envoy starts, for every address that the pod of a Gateway can have.

use anyhow::Result;
use serde_json::{Value, json};

use super::manifests::apply;
use crate::cluster::{Cluster, GATEWAY_PODS};

pub async fn keep_to_their_pods(cluster: &Cluster) -> Result<()> {
    let addresses = cluster.addresses();
    let pods = (0..GATEWAY_PODS).map(|n| addresses.gateway_pod(n).to_string());
    let patches: Vec<Value> = pods
        .map(|ip| {
            json!({
                "applyTo": "LISTENER",
                "match": {"context": "GATEWAY", "proxy": {"metadata": {"INSTANCE_IPS": ip}}},
                "patch": {
                    "operation": "MERGE",
                    "value": {"address": {"socket_address": {"address": ip}}},
                },
            })
        })
        .collect();
    let filter = json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "sandbox-addresses", "namespace": "istio-system"},
        "spec": {"configPatches": patches},
    });
    apply(&cluster.client(), "sandbox", &[filter]).await
}
