//! The address and CA by which pods of *another* cluster reach an API server: what ends up in
//! Kiali's Secret. A kubeconfig often says 127.0.0.1, which is somebody else inside a pod.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;

use super::Member;
use super::kubeconfig::read_file;

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub server: String,
    /// PEM; None when the kubeconfig has none, then the cluster's own root CA serves.
    pub ca: Option<String>,
    pub tls_server_name: Option<String>,
    /// The flag that names another address.
    pub flag: String,
    /// Whether the address cannot mean the same machine inside a pod.
    pub local_only: bool,
    /// This machine needs the kubeconfig's proxy for it, of which pods know nothing.
    pub behind_proxy: bool,
}

impl Endpoint {
    pub fn new(member: &Member, entry: &kube::config::Cluster) -> Result<Endpoint> {
        let server = member.api_server.clone().or_else(|| entry.server.clone());
        let server =
            server.with_context(|| format!("context {} has no server address", member.context))?;
        let server = server.trim_end_matches('/').to_string();
        let ca = match (
            &entry.certificate_authority_data,
            &entry.certificate_authority,
        ) {
            (Some(data), _) => {
                Some(decode(data).with_context(|| format!("CA of context {}", member.context))?)
            }
            (None, Some(path)) => Some(read_file(path)?),
            (None, None) => None,
        };
        Ok(Endpoint {
            local_only: is_local(&server)?,
            behind_proxy: entry.proxy_url.is_some() && member.api_server.is_none(),
            server,
            ca,
            flag: format!("--api-server{}", member.number),
            tls_server_name: entry.tls_server_name.clone(),
        })
    }
}

fn decode(data: &str) -> Result<String> {
    Ok(String::from_utf8(STANDARD.decode(data.trim())?)?)
}

fn is_local(server: &str) -> Result<bool> {
    let uri: Uri = server
        .parse()
        .with_context(|| format!("server address \"{server}\""))?;
    let host = uri
        .host()
        .with_context(|| format!("server address \"{server}\" has no host"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(match host.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_unspecified_addresses_are_local() {
        for local in [
            "https://127.0.0.1:6443",
            "https://127.9.9.9",
            "https://0.0.0.0:6443",
            "https://[::1]:6443",
            "https://[::]:1",
            "https://localhost:6443",
        ] {
            assert!(is_local(local).unwrap(), "{local}");
        }
        for other in [
            "https://10.0.0.1:6443",
            "https://api.example.com",
            "https://[fd00::1]:6443",
        ] {
            assert!(!is_local(other).unwrap(), "{other}");
        }
        assert!(is_local("nonsense with spaces").is_err());
    }
}
