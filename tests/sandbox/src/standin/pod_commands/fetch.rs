//! Sends a GET from inside a pod, for any of the commands.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, Response, Url};

use super::control::{self, Answer};
use super::{IP, PORTS};

/// The outcome of a request.
pub enum Got {
    Response(Response),
    Hello(String),
    NoSuchHost,
    /// The address, and the error message of the system.
    NotConnected(SocketAddr, String),
    TimedOut,
    Reset,
    /// Connected, but got no answer.
    Broken(String),
}

pub async fn get(url: &Url, limit: Option<Duration>) -> Got {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let address = match own(host, port) {
        Some(address) => address,
        None => match control::ask(host, port).await {
            Ok(Answer::At(address)) => address,
            Ok(Answer::Hello(line)) => return Got::Hello(line),
            // Names unknown to the cluster's DNS are looked up outside, as in a real cluster.
            Ok(Answer::NoSuchHost) => match tokio::net::lookup_host((host, port)).await {
                Ok(mut found) => match found.next() {
                    Some(address) => address,
                    None => return Got::NoSuchHost,
                },
                Err(_) => return Got::NoSuchHost,
            },
            Ok(Answer::Refused) => {
                return Got::NotConnected(
                    ([0, 0, 0, 0], port).into(),
                    "Connection refused".to_owned(),
                );
            }
            Ok(Answer::Reset) => return Got::Reset,
            Err(error) => return Got::Broken(format!("{error:#}")),
        },
    };
    send(url, host, address, limit).await
}

/// Returns the pod's address for its own localhost.
fn own(host: &str, port: u16) -> Option<SocketAddr> {
    let ip = std::env::var(IP).ok()?.parse().ok()?;
    let ports = std::env::var(PORTS).unwrap_or_default();
    let served = ports.split(',').any(|own| own == port.to_string());
    match host {
        "localhost" => Some(SocketAddr::new(ip, port)),
        "127.0.0.1" if served => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

async fn send(url: &Url, host: &str, address: SocketAddr, limit: Option<Duration>) -> Got {
    let mut client = Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        // BusyBox does not verify certificates, and curl is only used with http here.
        .tls_danger_accept_invalid_certs(true)
        .resolve(host, address);
    if let Some(limit) = limit {
        client = client.timeout(limit);
    }
    let client = match client.build() {
        Ok(client) => client,
        Err(error) => return Got::Broken(error.to_string()),
    };
    let mut url = url.clone();
    if url.set_port(Some(address.port())).is_err() {
        return Got::NoSuchHost;
    }
    let shown = url
        .host_str()
        .is_some_and(|h| h.parse::<std::net::IpAddr>().is_ok());
    if shown && url.set_ip_host(address.ip()).is_err() {
        return Got::NoSuchHost;
    }
    match client.get(url).send().await {
        Ok(response) => Got::Response(response),
        Err(error) if error.is_timeout() => Got::TimedOut,
        Err(error) => failure(&error, address),
    }
}

fn failure(error: &reqwest::Error, address: SocketAddr) -> Got {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    let mut text = error.to_string();
    while let Some(inner) = cause {
        text = inner.to_string();
        if let Some(io) = inner.downcast_ref::<std::io::Error>()
            && error.is_connect()
            && io.raw_os_error().is_some()
        {
            let message = text.split(" (os error").next().unwrap_or(&text).to_owned();
            return Got::NotConnected(address, message);
        }
        cause = inner.source();
    }
    Got::Broken(text)
}
