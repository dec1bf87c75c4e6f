//! The Gateway in front of a cluster's Prometheus, as its clients reach it.

use ambikiali_sandbox::Cluster;

use super::{get, until};

/// Its `HOST:PORT`.
pub async fn exposed(cluster: &Cluster) -> String {
    let name = "istio-system/prometheus-gateway";
    let gateway = get(cluster, "gateway.networking.k8s.io/v1", "Gateway", name).await;
    let address = &gateway.expect("a Gateway")["status"]["addresses"][0]["value"];
    format!("{}:9090", address.as_str().expect("an address"))
}

/// Waits until Envoy answers so: istiod sends it a change a moment after the change was written.
pub async fn until_exposed(cluster: &Cluster, path: &str, status: u16) {
    let url = format!("http://{}{path}", exposed(cluster).await);
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.expect("a client");
    until(&format!("{path} answers {status}"), async || {
        let answer = client.get(&url).send().await;
        answer.is_ok_and(|answer| answer.status() == status)
    })
    .await;
}
