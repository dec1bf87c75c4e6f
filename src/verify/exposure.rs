//! Checks from this machine, by plain HTTP, that the exposed address of a cluster's Prometheus allows nothing
//! but federation.

use std::time::Duration;

use reqwest::{Client, redirect};

const PATIENCE: Duration = Duration::from_secs(3);
/// Returns the whole configuration of Prometheus; the guide's route allows it.
const PRIVATE: &str = "/api/v1/status/config";

/// Checks that the address exposes only /federate.
pub async fn closed(address: &str) -> Result<String, String> {
    // Addresses in the cluster's network are not reached through this machine's proxy.
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
            "http://{address}{PRIVATE} is open to anyone: a route allows more than GET /federate"
        )),
        Ok(answer) => Ok(format!(
            "http://{address} refuses {PRIVATE} with {}",
            answer.status().as_u16()
        )),
        Err(_) => Ok(format!(
            "http://{address} is not reachable from this machine"
        )),
    }
}
