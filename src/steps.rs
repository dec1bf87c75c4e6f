//! The sections of the guide, one file each, in its order. Each has the pure objects of its section
//! and how they are installed, judged and removed; none knows another: what one
//! finds and another needs travels as `ScrapeTarget` and `RemoteAccess` through the commands.

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

/// Where the Prometheus of one cluster is scraped. Only made from an address that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeTarget {
    pub cluster: ClusterName,
    /// `host:port`; an IPv6 address has its brackets.
    pub address: String,
}

impl ScrapeTarget {
    /// Where somebody else runs one.
    pub fn of(cluster: &ClusterName, address: &Address) -> ScrapeTarget {
        ScrapeTarget {
            cluster: cluster.clone(),
            address: address.to_string(),
        }
    }

    fn at(cluster: &ClusterName, host: &str, port: u16) -> ScrapeTarget {
        let address = match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]:{port}"),
            _ => format!("{host}:{port}"),
        };
        ScrapeTarget {
            cluster: cluster.clone(),
            address,
        }
    }
}

/// A way into the API server of a remote, for Kiali.
#[derive(Clone, Debug)]
pub struct RemoteAccess {
    pub cluster: ClusterName,
    pub server: String,
    /// The flag that names another address.
    pub flag: String,
    /// The flag that names the CA, as it was given.
    pub ca_flag: Option<String>,
    /// The user named this one; else it is the kubeconfig's, which takes the user's own credentials.
    pub named: bool,
    /// PEM; None: what Kiali's pod knows by itself.
    pub ca: Option<String>,
    pub tls_server_name: Option<String>,
    /// Prints as redacted.
    pub token: SecretString,
    /// Kiali had none for a while: it gives up such a cluster for good.
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
            assert_eq!(ScrapeTarget::at(&cluster, host, 9090).address, address);
        }
    }
}
