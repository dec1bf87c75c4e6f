//! The clusters that one view will span: one home, where Kiali runs, and its remotes. Everything
//! past this module deals in connected, named, distinct clusters.

mod address;
mod busy;
mod change;
mod endpoint;
mod identity;
mod kubeconfig;
mod name;
mod plugin;
mod session;
mod transport;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use futures::future::{join_all, try_join_all};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::config::Kubeconfig;
use serde::{Deserialize, Serialize};

pub use address::Address;
pub use endpoint::Endpoint;
pub use kubeconfig::client_from;
pub use name::{ClusterName, is_dns_label};
pub use transport::{Transport, Written};

use crate::code::Code;
use crate::problem::{self, Exit, Problem};

/// A connected cluster.
#[derive(Clone)]
pub struct Cluster {
    pub name: ClusterName,
    pub context: String,
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
    pub prometheus: Option<Address>,
    /// Address for pods of other clusters, when the kubeconfig's is not the right one.
    pub api_server: Option<String>,
    /// Name and UID it had when it was installed; None when the user named it now.
    pub known: Option<Known>,
}

/// What an install remembers of a cluster.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Known {
    pub context: String,
    pub name: ClusterName,
    pub uid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
}

/// A remote that does not answer.
#[derive(Debug)]
pub struct Absent {
    pub name: ClusterName,
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

/// The contexts that a kubeconfig has.
pub fn contexts(files: &[PathBuf]) -> Result<Vec<String>> {
    let config = kubeconfig::read(files)?;
    Ok(config
        .contexts
        .into_iter()
        .map(|context| context.name)
        .collect())
}

/// Each cluster, home first, with the kubeconfig that its context is looked up in: its own, or that of all.
fn read(members: &Members) -> Result<Vec<(Kubeconfig, &Member)>> {
    let mut shared: Option<Kubeconfig> = None;
    let mut all = Vec::new();
    for member in std::iter::once(&members.home).chain(&members.remotes) {
        let config = match (&member.kubeconfig, &shared) {
            (Some(own), _) => kubeconfig::read(std::slice::from_ref(own))?,
            (None, Some(shared)) => shared.clone(),
            (None, None) => shared
                .insert(kubeconfig::read(&members.kubeconfig)?)
                .clone(),
        };
        all.push((config, member));
    }
    Ok(all)
}

/// Connects to all clusters at once; they are named, and no two of them are the same one.
pub async fn connect(members: &Members, istiod: Istiod) -> Result<Mesh> {
    let all = read(members)?;
    let joined = all
        .iter()
        .map(|(c, member)| identity::join(c, member, istiod));
    let clusters = try_join_all(joined).await?;
    Ok(of(clusters)?)
}

/// The first one is home.
fn of(mut clusters: Vec<Cluster>) -> Result<Mesh, Problem> {
    distinct(&clusters)?;
    let remotes = clusters.split_off(1);
    let home = clusters.remove(0);
    Ok(Mesh { home, remotes })
}

/// Like `connect`, but with all that keeps any of them from it.
pub async fn connect_each(members: &Members) -> Result<Mesh, Vec<anyhow::Error>> {
    let all = read(members).map_err(|error| vec![error])?;
    // A name that is mistyped is no cluster's fault.
    for (config, member) in &all {
        kubeconfig::cluster_entry(config, member).map_err(|error| vec![error])?;
    }
    let asked = all
        .iter()
        .map(|(c, member)| identity::join(c, member, Istiod::Required));
    let (joined, errors): (Vec<_>, Vec<_>) =
        join_all(asked).await.into_iter().partition(Result::is_ok);
    let errors = errors
        .into_iter()
        .filter_map(Result::err)
        .collect::<Vec<_>>();
    if !errors.is_empty() {
        return Err(errors);
    }
    let clusters = joined.into_iter().flatten().collect();
    of(clusters).map_err(|problem| vec![problem.into()])
}

/// Like `connect`, but a remote that does not answer is reported, not an error: for commands that
/// only look. Home must answer.
pub async fn connect_reachable(members: &Members, istiod: Istiod) -> Result<(Mesh, Vec<Absent>)> {
    let all = read(members)?;
    let mut asked = all
        .iter()
        .map(|(c, member)| identity::join(c, member, istiod));
    let home = asked.next().context("a home is named")?;
    let remotes = join_all(asked);
    let (home, asked) = tokio::join!(home, remotes);
    let (home, mut remotes, mut absent) = (home?, Vec::new(), Vec::new());
    for (member, answer) in members.remotes.iter().zip(asked) {
        match answer {
            Ok(cluster) => remotes.push(cluster),
            Err(error) if unreachable(&error) => absent.push(Absent {
                name: identity::remembered(member),
                error,
            }),
            Err(error) => return Err(error),
        }
    }
    let all = std::iter::once(&home)
        .chain(&remotes)
        .cloned()
        .collect::<Vec<_>>();
    distinct(&all)?;
    Ok((Mesh { home, remotes }, absent))
}

fn unreachable(error: &anyhow::Error) -> bool {
    problem::find(error).is_some_and(|p| p.exit == Exit::Unreachable)
}

fn distinct(clusters: &[Cluster]) -> Result<(), Problem> {
    for (i, a) in clusters.iter().enumerate() {
        for b in &clusters[i + 1..] {
            if a.uid == b.uid {
                return Err(Problem::new(
                    Exit::Preflight,
                    format!(
                        "contexts {} and {} are the same cluster",
                        a.context, b.context
                    ),
                )
                .code(Code::SameCluster)
                .fix("name two different clusters: kubectl config get-contexts"));
            }
            if a.name == b.name {
                return Err(same_id(a, b));
            }
        }
    }
    Ok(())
}

fn same_id(a: &Cluster, b: &Cluster) -> Problem {
    Problem::new(
        Exit::Preflight,
        format!(
            "contexts {} and {} have the same Istio cluster id \"{}\": Kiali cannot tell them apart",
            a.context, b.context, a.name
        ),
    )
    .code(Code::SameClusterId)
    .fix("set values.global.multiCluster.clusterName on one of them and install its istiod again")
}
