//! The clusters that one view will span: one home, where Kiali runs, and its remotes. Everything
//! past this module deals in connected, named, distinct clusters.

mod address;
mod api_server;
mod bounded;
mod busy;
mod change;
mod connect;
mod endpoint;
mod heard;
mod identity;
mod kubeconfig;
mod name;
pub mod pages;
mod pem;
mod plugin;
mod proxy;
mod remote_kubeconfig;
pub mod retry;
mod revision;
mod server;
mod session;
mod tenure;
mod tls;
mod transport;
mod wire;
mod without_user;
mod x509;

use std::fmt;
use std::path::PathBuf;

use k8s_openapi::jiff::Timestamp;
use kube::Client;
use serde::{Deserialize, Serialize};

pub use address::{Address, Nowhere, Prometheus, nowhere_of_cluster};
pub use api_server::ApiServer;
pub use bounded::{TooLarge, found};
pub use connect::{connect, connect_each, connect_reachable, contexts, look_up};
pub use endpoint::{Endpoint, Trust};
pub use heard::{Heard, listen};
pub use name::{ClusterName, is_dns_label};
pub use remote_kubeconfig::{RemoteKubeconfig, server_name};
pub use revision::{Revision, counting};
pub use tenure::{Moment, NotOurs, Tenure};
pub use tls::NAMES_NONE;
pub use transport::{Transport, Written};

/// A connected cluster.
#[derive(Clone)]
pub struct Cluster {
    pub name: ClusterName,
    /// As flags count it: 1 is home.
    pub number: usize,
    pub context: String,
    /// What a command for it begins with, ready for a shell.
    pub kubectl: String,
    /// UID of namespace `kube-system`: the same for the life of the cluster.
    pub uid: String,
    /// As this machine reaches it.
    pub server: String,
    pub client: Client,
    /// What that client's requests pass through.
    pub transport: Transport,
    /// As pods of another cluster reach it.
    pub endpoint: Endpoint,
    /// Of somebody else, scraped in place of one of ours.
    pub prometheus: Option<Address>,
    /// The user said which; else it is that of the last install.
    pub prometheus_is_said: bool,
    /// Of the istiod that looks at Gateways in its namespace.
    pub revision: Revision,
    /// The platform gives each namespace's pods their user and group (OpenShift).
    pub assigns_users: bool,
}

impl Cluster {
    /// The server's own time: what ages and Leases are told by.
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

    /// Those that this one has to reach.
    pub fn others(&self, than: &Cluster) -> impl Iterator<Item = &Cluster> {
        self.all().filter(move |cluster| cluster.uid != than.uid)
    }

    pub fn without(&self, gone: impl Fn(&Cluster) -> bool) -> Mesh {
        let remotes = self.remotes.iter().filter(|remote| !gone(remote));
        Mesh {
            home: self.home.clone(),
            remotes: remotes.cloned().collect(),
        }
    }

    /// For people: "cluster1, cluster2".
    pub fn names(&self) -> String {
        let names = self.all().map(|c| c.name.as_str()).collect::<Vec<_>>();
        names.join(", ")
    }
}

/// One cluster as the user named it.
#[derive(Clone, Debug)]
pub struct Member {
    /// 1 is home: the number that its flags carry.
    pub number: usize,
    pub context: String,
    /// Where alone the context is looked up.
    pub kubeconfig: Option<PathBuf>,
    /// What its Istio cluster id must be.
    pub name: Option<ClusterName>,
    pub prometheus: Option<Prometheus>,
    /// Address for pods of other clusters, when the kubeconfig's is not the right one.
    pub api_server: Option<ApiServer>,
    /// Whose certificates are believed there, and for which name, when it is not what goes with the address.
    pub ca: Option<Ca>,
    pub tls_server_name: Option<String>,
    /// Name and UID it had when it was installed; None when the user named it now.
    pub known: Option<Known>,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ca {
    /// Of PEM certificates.
    File(PathBuf),
    /// Those that every machine knows.
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

/// What an install remembers of a cluster.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Known {
    pub context: String,
    pub name: ClusterName,
    pub uid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// Of somebody else, scraped in place of one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<Address>,
}

/// A remote that does not answer, or that an install does without.
#[derive(Debug)]
pub struct Absent {
    pub name: ClusterName,
    pub context: String,
    pub error: anyhow::Error,
}

/// What `connect` needs to know.
#[derive(Clone, Debug)]
pub struct Members {
    pub kubeconfig: Vec<PathBuf>,
    pub home: Member,
    pub remotes: Vec<Member>,
}

/// Whether a cluster without istiod is still of use: not for an install, but for a cleanup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Istiod {
    Required,
    Optional,
}
