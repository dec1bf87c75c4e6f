//! One real cluster: etcd, API server, controller manager, scheduler and kwok, started by kwokctl
//! on loopback addresses of its own, with an audit log.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use kube::Client;

/// A running cluster; clones are handles to the same one.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {}

/// The loopback addresses and ports that belong to one cluster: `127.<block>.0.0/16`.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Second octet, held for this run by a lock file: 10 to 120.
    pub block: u8,
}

impl Addresses {
    /// Addresses that kwok gives to the pods it plays.
    pub fn kwok_pods(self) -> String {
        format!("127.{}.0.0/17", self.block)
    }

    /// The address of the n-th pod that is a real process or a stand-in.
    pub fn process_pod(self, n: u16) -> Ipv4Addr {
        let n = n % 25_000;
        Ipv4Addr::new(127, self.block, 128 + (n / 250) as u8, 1 + (n % 250) as u8)
    }

    /// The n-th load balancer address.
    pub fn load_balancer(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block, 255, n)
    }

    /// The k-th port on 127.0.0.1 of this cluster (API server, etcd, istiod and so on); k below 100.
    pub fn port(self, k: u16) -> u16 {
        20_000 + u16::from(self.block) * 100 + k
    }
}

impl Cluster {
    /// `cluster1`: kubeconfig context and Istio cluster id alike.
    pub fn name(&self) -> &str {
        todo!()
    }
    pub fn addresses(&self) -> Addresses {
        todo!()
    }
    /// Cluster-admin, with user agent `sandbox`.
    pub fn client(&self) -> Client {
        let _ = &self.inner;
        todo!()
    }
    /// `https://127.0.0.1:PORT`.
    pub fn server(&self) -> &str {
        todo!()
    }
    /// CA of the API server, PEM.
    pub fn ca(&self) -> &str {
        todo!()
    }
    /// A folder for this cluster's files; it goes with the run.
    pub fn dir(&self) -> &Path {
        todo!()
    }
    /// A token of a ServiceAccount, as the kubelet would mount it.
    pub async fn token(&self, namespace: &str, service_account: &str) -> Result<String> {
        let _ = (namespace, service_account);
        todo!()
    }
    /// A client that acts with that token and nothing else.
    pub fn client_with_token(&self, token: &str) -> Result<Client> {
        let _ = token;
        todo!()
    }
    /// Port on 127.0.0.1 of the real istiod's plain HTTP server (`/ready`).
    pub fn istiod_http_port(&self) -> u16 {
        todo!()
    }
}
