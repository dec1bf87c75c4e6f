//! The clusters that Kiali shows: one home cluster, where Kiali runs, and its remotes. This module turns
//! the contexts that the user named into connected, named and distinct clusters.

mod address;
mod api_server;
mod as_user;
mod auth;
mod bounded;
mod connect;
mod endpoint;
mod identity;
mod kubeconfig;
mod lease_state;
mod name;
pub mod pages;
pub mod pem;
mod plugin;
pub mod proxy;
mod remote_kubeconfig;
mod request;
pub mod retry;
mod retry_after;
mod revision;
mod server;
pub mod tls;
mod transport;
mod wire;
pub mod x509;

use std::fmt;
use std::path::PathBuf;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde::{Deserialize, Serialize};

pub use address::{Address, Prometheus, UnreachableReason, unreachable_reason_of_load_balancer};
pub use api_server::ApiServer;
pub use bounded::{TooLarge, found};
pub use connect::{connect, connect_each, connect_reachable, connect_some, contexts, look_up};
pub use endpoint::{Endpoint, Trust};
pub use lease_state::{BootInstant, LeaseError, LeaseState};
pub use name::{ClusterName, is_dns_label};
pub use remote_kubeconfig::{RemoteKubeconfig, server_name};
pub use request::{RequestLog, set_request_logger};
pub use revision::{Revision, counting};
pub use server::without_user;
pub use tls::NO_CA;
pub use transport::{Transport, WriteCounts};

/// A connected cluster.
#[derive(Clone)]
pub struct Cluster {
    pub name: ClusterName,
    /// Number in the flags, as in `--ctx2`; home is 1.
    pub number: usize,
    pub context: String,
    /// kubectl with the flags that select this cluster, quoted for a shell.
    pub kubectl: String,
    /// UID of namespace `kube-system`, which stays the same for the life of the cluster.
    pub uid: String,
    /// Address of the API server as this machine reaches it.
    pub server: String,
    pub client: Client,
    /// Transport that all requests of `client` pass through.
    pub transport: Transport,
    /// How pods of another cluster reach the API server.
    pub endpoint: Endpoint,
    /// The user's own Prometheus, scraped instead of one that an install creates.
    pub prometheus: Option<Address>,
    /// Whether a flag set `prometheus`; otherwise it comes from the last install.
    pub prometheus_is_set: bool,
    /// Revision of the istiod that handles Gateways.
    pub revision: Revision,
    /// Whether the platform assigns user and group to the pods of each namespace (OpenShift).
    pub assigns_users: bool,
}

impl Cluster {
    /// Time of the API server's clock. Ages and Leases are judged by it, never by this machine's clock.
    pub fn server_time(&self) -> Option<Timestamp> {
        self.transport.server_time()
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.server)
    }
}

/// One home and at least one remote.
#[derive(Clone, Debug)]
pub struct Mesh {
    pub home: Cluster,
    pub remotes: Vec<Cluster>,
}

impl Mesh {
    pub fn all(&self) -> impl Iterator<Item = &Cluster> {
        std::iter::once(&self.home).chain(&self.remotes)
    }

    /// All clusters except the given one.
    pub fn others(&self, than: &Cluster) -> impl Iterator<Item = &Cluster> {
        self.all().filter(move |cluster| cluster.uid != than.uid)
    }

    /// Names for messages: "cluster1, cluster2".
    pub fn names(&self) -> String {
        let names = self.all().map(|c| c.name.as_str()).collect::<Vec<_>>();
        names.join(", ")
    }
}

/// One cluster as given by the user's flags.
#[derive(Clone, Debug)]
pub struct Member {
    /// Number in the flags, as in `--ctx2`; home is 1.
    pub number: usize,
    pub context: String,
    /// The only kubeconfig in which the context is looked up, if set.
    pub kubeconfig: Option<PathBuf>,
    /// The Istio cluster id that the cluster must have, if set.
    pub name: Option<ClusterName>,
    pub prometheus: Option<Prometheus>,
    /// API server address for pods of other clusters; overrides the kubeconfig's.
    pub api_server: Option<ApiServer>,
    /// CA and server name for that address; override the defaults.
    pub ca: Option<Ca>,
    pub tls_server_name: Option<String>,
    /// The cluster as the last install recorded it; None if the user named it by flags.
    pub known: Option<Known>,
}

/// The CA that a server's certificate is verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ca {
    /// A file with PEM certificates.
    File(PathBuf),
    /// The CAs of the operating system.
    System,
}

impl From<PathBuf> for Ca {
    fn from(path: PathBuf) -> Ca {
        match path.as_os_str() == "system" {
            true => Ca::System,
            false => Ca::File(path),
        }
    }
}

/// A cluster as an install records it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Known {
    pub context: String,
    pub name: ClusterName,
    pub uid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// The user's own Prometheus, scraped instead of one that an install creates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Address>,
}

/// A remote that is unreachable, or that an install skips.
#[derive(Debug)]
pub struct Absent {
    pub name: ClusterName,
    pub context: String,
    pub error: anyhow::Error,
}

/// The clusters to connect to.
#[derive(Clone, Debug)]
pub struct Members {
    pub kubeconfig: Vec<PathBuf>,
    pub home: Member,
    pub remotes: Vec<Member>,
}

/// Whether a cluster must have an istiod: an install needs one, a cleanup does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Istiod {
    Required,
    Optional,
}
