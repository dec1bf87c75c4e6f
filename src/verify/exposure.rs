//! What the exposed address lets through to somebody who is not the federating Prometheus: asked from
//! this machine, by plain HTTP, as anybody might.

use std::time::Duration;

use reqwest::{Client, redirect};

const PATIENCE: Duration = Duration::from_secs(3);
/// Shows the whole configuration; the guide's route answers it.
const PRIVATE: &str = "/api/v1/status/config";

/// Whether the address of a cluster's Prometheus keeps its own counsel.
pub async fn closed(address: &str) -> Result<String, String> {
    // An address of the cluster's network is not for this machine's proxy.
    let client = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(PATIENCE);
    let client = client.build().map_err(|e| e.to_string())?;
    match client
        .get(format!("http://{address}{PRIVATE}"))
        .send()
        .await
    {
        Ok(answer) if answer.status().is_success() => Err(format!(
            "http://{address}{PRIVATE} answers anybody: a route lets more through than GET /federate"
        )),
        Ok(answer) => Ok(format!(
            "http://{address} refuses {PRIVATE} with {}",
            answer.status().as_u16()
        )),
        Err(_) => Ok(format!("http://{address} does not answer this machine")),
    }
}
