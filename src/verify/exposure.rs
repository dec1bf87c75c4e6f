//! Checks from this machine, as anybody could, that the exposed address of a cluster's Prometheus lets in only the
//! federating Prometheus, or over plain HTTP nothing but federation.

use std::time::Duration;

use reqwest::{Client, Response, redirect};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::steps::ScrapeTarget;

const PATIENCE: Duration = Duration::from_secs(3);
/// Returns the whole configuration of Prometheus; the guide's route allows it.
const PRIVATE: &str = "/api/v1/status/config";

/// Checks what the address exposes.
pub async fn closed(target: &ScrapeTarget) -> Result<String, String> {
    let address = &target.address;
    let client = client().map_err(|e| e.to_string())?;
    let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
    if !matches!(connected, Ok(Ok(_))) {
        return Ok(format!("{address} is not reachable from this machine"));
    }
    match target.mutual_tls {
        true => needs_certificate(&client, address).await,
        false => only_federation(&client, address).await,
    }
}

/// A client without a certificate that takes any certificate, because it sends and asks for nothing secret.
fn client() -> reqwest::Result<Client> {
    // Addresses in the cluster's network are not reached through this machine's proxy.
    let client = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .tls_danger_accept_invalid_certs(true)
        .timeout(PATIENCE);
    client.build()
}

async fn get(client: &Client, url: String) -> reqwest::Result<Response> {
    client.get(url).send().await
}

async fn needs_certificate(client: &Client, address: &str) -> Result<String, String> {
    let mut silent = None;
    for url in ["http", "https"].map(|scheme| format!("{scheme}://{address}/federate")) {
        match get(client, url.clone()).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                return Err(format!(
                    "{url} answers anyone, with {status}: a client needs no certificate; run install again"
                ));
            }
            Err(error) if error.is_timeout() => silent = Some(url),
            Err(_) => silent = None,
        }
    }
    Ok(match silent {
        Some(url) => format!("{url} does not answer this machine"),
        None => format!(
            "https://{address} refuses clients without the certificate of the federating Prometheus"
        ),
    })
}

async fn only_federation(client: &Client, address: &str) -> Result<String, String> {
    let url = format!("http://{address}{PRIVATE}");
    match get(client, url.clone()).await {
        Ok(answer) if answer.status().is_success() => Err(format!(
            "{url} is open to anyone: a route allows more than GET /federate"
        )),
        Ok(answer) => Ok(format!(
            "http://{address} refuses {PRIVATE} with {}",
            answer.status().as_u16()
        )),
        Err(_) => Ok(format!("{url} does not answer this machine")),
    }
}
