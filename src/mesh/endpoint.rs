//! How pods of another cluster reach an API server: the address and CA that end up in Kiali's Secret. A
//! kubeconfig often has 127.0.0.1, which is useless in a pod. The kubeconfig's CA and server name belong to its
//! own address, so they are not used for an address that the user sets.

use std::io::Read;
use std::path::Path;

use http::Uri;

use super::pem::{self, Broken};
use super::server::Server;
use super::{Ca, Member, kubeconfig};
use crate::problem::{self, Exit, Problem};

/// Limit for a file with certificates.
const LARGEST: u64 = 256 << 10;

#[derive(Clone, Debug)]
pub struct Endpoint {
    pub server: String,
    pub trust: Trust,
    pub tls_server_name: Option<String>,
    /// The flag that overrides the address.
    pub flag: String,
    /// The flag that sets the CA, with the user's value; None if it was not given.
    pub ca_flag: Option<String>,
    /// Whether the user set the address, so that CA and server name of the kubeconfig do not apply.
    pub named: bool,
    /// Whether the address is local to this machine and thus useless in a pod.
    pub local_only: bool,
    /// Whether this machine needs the kubeconfig's proxy to reach it, which pods do not use.
    pub behind_proxy: bool,
}

/// The CA that Kiali uses to verify the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// These certificates in PEM.
    Of(String),
    /// The cluster's root CA, which is part of each ServiceAccount token Secret.
    Own,
    /// The CAs in Kiali's image.
    System,
}

impl Endpoint {
    /// An error is about the kubeconfig's cluster entry.
    pub fn new(member: &Member, entry: &kube::config::Cluster) -> Result<Endpoint, String> {
        let named = member.api_server.is_some();
        let server = match &member.api_server {
            Some(server) => Server::parse(server.as_str())?,
            None => Server::parse(entry.server.as_deref().unwrap_or_default())?,
        };
        let trust = match &member.ca {
            Some(Ca::System) => Trust::System,
            Some(Ca::File(path)) => {
                let certificates = certificates(path, member.number);
                Trust::Of(certificates.map_err(|problem| problem.to_string())?)
            }
            None if named => Trust::Own,
            // Without a CA, this machine's CAs apply to it, but Kiali needs the cluster's own.
            None => {
                kubeconfig::authorities(entry)?.map_or(Trust::Own, |all| Trust::Of(pem::text(&all)))
            }
        };
        let name = member.tls_server_name.clone();
        Ok(Endpoint {
            local_only: is_local(&server.url),
            behind_proxy: entry.proxy_url.is_some() && !named,
            server: server.text(),
            trust,
            flag: format!("--api-server{}", member.number),
            ca_flag: member.ca.as_ref().map(|ca| match ca {
                Ca::System => format!("--ca{} system", member.number),
                Ca::File(path) => format!("--ca{} {}", member.number, path.display()),
            }),
            named,
            tls_server_name: name.or_else(|| entry.tls_server_name.clone().filter(|_| !named)),
        })
    }
}

/// The certificates of a file. Anything else in it, such as a key, is dropped.
pub fn certificates(path: &Path, number: usize) -> Result<String, Problem> {
    let refuse = |cause: String| {
        Problem::new(
            Exit::Usage,
            format!("--ca{number} {}: {cause}", path.display()),
        )
        .fix(format!(
            "pass a file with PEM certificates, or system: --ca{number} FILE"
        ))
    };
    let mut bytes = Vec::new();
    let file = std::fs::metadata(path).and_then(|of| match of.is_file() {
        true => std::fs::File::open(path),
        false => Err(std::io::Error::other("not a file")),
    });
    let read = file.and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    let length = read.map_err(|error| refuse(problem::root_cause(&error)))?;
    if length as u64 > LARGEST {
        return Err(refuse(format!("it is larger than {} KiB", LARGEST >> 10)));
    }
    match pem::certificates(&bytes, Broken::Skipped) {
        Ok(all) => Ok(pem::text(&all)),
        Err(why) => Err(refuse(format!("it {why}"))),
    }
}

fn is_local(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::mesh::ApiServer;

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
            assert!(is_local(&local.parse().unwrap()), "{local}");
        }
        for other in [
            "https://10.0.0.1:6443",
            "https://api.example.com",
            "https://[fd00::1]:6443",
        ] {
            assert!(!is_local(&other.parse().unwrap()), "{other}");
        }
    }

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

    fn member(address: Option<&str>, ca: Option<Ca>, name: Option<&str>) -> Member {
        let server = address.map(|address| ApiServer::try_from(address.to_string()).unwrap());
        Member {
            number: 2,
            context: "west".into(),
            kubeconfig: None,
            name: None,
            prometheus: None,
            api_server: server,
            ca,
            tls_server_name: name.map(Into::into),
            known: None,
        }
    }

    #[test]
    fn an_address_from_the_user_does_not_use_the_kubeconfigs_ca() {
        let front = serde_json::from_value(serde_json::json!({
            "server": "https://front.example.com",
            "certificate-authority-data": STANDARD.encode(ONE),
            "tls-server-name": "front",
        }));
        let front: kube::config::Cluster = front.unwrap();
        let trusts = |member: Member| {
            let endpoint = Endpoint::new(&member, &front).unwrap();
            (endpoint.server, endpoint.trust, endpoint.tls_server_name)
        };
        let own = "https://10.0.0.2:6443";
        let of_front = (
            "https://front.example.com".to_string(),
            Trust::Of(ONE.into()),
            Some("front".to_string()),
        );
        assert_eq!(trusts(member(None, None, None)), of_front);
        let named = member(Some(own), None, None);
        assert_eq!(trusts(named), (own.to_string(), Trust::Own, None));
        let public = member(Some(own), Some(Ca::System), Some("api"));
        let with_both = (own.to_string(), Trust::System, Some("api".to_string()));
        assert_eq!(trusts(public), with_both);
    }

    #[test]
    fn only_the_certificates_of_a_file_are_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let one = ONE;
        let key = "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n";
        std::fs::write(&file, format!("a word\n{one}{key}{one}")).unwrap();
        assert_eq!(certificates(&file, 2).unwrap(), [one, one].concat());
        for text in ["", key, "-----BEGIN CERTIFICATE-----\nMAA=\n"] {
            std::fs::write(&file, text).unwrap();
            let error = certificates(&file, 3).unwrap_err();
            assert!(error.to_string().starts_with("--ca3 "), "{error}");
        }
        assert!(certificates(folder.path(), 2).is_err());
        assert!(certificates(Path::new("/nowhere"), 2).is_err());
    }
}
