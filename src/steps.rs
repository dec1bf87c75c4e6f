//! The sections of the guide, one file each, in its order. Each has the objects of its section and installs, judges and
//! removes them. No step knows another one: `ScrapeTarget` and `RemoteAccess` pass between them through the commands.

use std::net::IpAddr;

use secrecy::SecretString;

use crate::mesh::{Address, ClusterName};

pub mod namespaces;

pub mod cluster_prometheus;
pub mod expose_prometheus;

pub mod aggregate_metrics;

pub mod kiali_operator;
pub mod remote_cluster;
pub mod remote_secret;

pub mod kiali;

pub mod probes;

/// Where the Prometheus of one cluster is scraped. Never created without an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeTarget {
    pub cluster: ClusterName,
    /// `host:port`, with brackets around an IPv6 address.
    pub address: String,
    /// Whether both sides prove themselves with their certificates.
    pub mutual_tls: bool,
    /// The path of a server of the user that serves https. Without this and mutual TLS, it is plain HTTP.
    pub https: Option<String>,
}

impl ScrapeTarget {
    /// The target for a foreign Prometheus.
    pub fn of(cluster: &ClusterName, address: &Address) -> ScrapeTarget {
        ScrapeTarget {
            cluster: cluster.clone(),
            address: address.host_and_port().into(),
            mutual_tls: false,
            https: address.https().map(Into::into),
        }
    }

    pub fn url(&self) -> String {
        let is_plain = !self.mutual_tls && self.https.is_none();
        let scheme = if is_plain { "http" } else { "https" };
        format!("{scheme}://{}{}", self.address, self.path())
    }

    /// The path of the metrics.
    pub fn path(&self) -> String {
        format!("{}/federate", self.https.as_deref().unwrap_or_default())
    }

    fn at(cluster: &ClusterName, host: &str, port: u16, mutual_tls: bool) -> ScrapeTarget {
        let address = match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            _ => format!("{host}:{port}"),
        };
        ScrapeTarget {
            cluster: cluster.clone(),
            address,
            mutual_tls,
            https: None,
        }
    }
}

/// How Kiali reaches and authenticates to the API server of a remote.
#[derive(Clone, Debug)]
pub struct RemoteAccess {
    pub cluster: ClusterName,
    pub server: String,
    /// The flag that sets another address.
    pub flag: String,
    /// The flag that sets the CA.
    pub ca_flag: Option<String>,
    /// Whether the user gave this address; else it is that of the kubeconfig.
    pub named: bool,
    /// PEM. None for the system CAs of Kiali's pod.
    pub ca: Option<String>,
    pub tls_server_name: Option<String>,
    /// Its Debug output is redacted.
    pub token: SecretString,
    /// Whether Kiali lacked rights for a while, after which it ignores the cluster until a restart.
    pub was_cut_off: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_a_port() {
        let cluster = ClusterName::new("cluster1").unwrap();
        for (host, address) in [
            ("203.0.113.7", "203.0.113.7:9090"),
            ("lb.example.com", "lb.example.com:9090"),
            ("2001:db8::1", "[2001:db8::1]:9090"),
        ] {
            assert_eq!(
                ScrapeTarget::at(&cluster, host, 9090, true).address,
                address
            );
        }
    }
}
