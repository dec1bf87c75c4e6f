//! Where requests come from and go to. Every cluster may answer: which one did is told by the answer, and by the
//! series of both ends.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;

use crate::guide::Step;
use crate::k8s::{Scope, pods};
use crate::mesh::ClusterName;
use crate::run::Run;

const NAMESPACE: &str = "sample";
const CLIENTS: &str = "app=curl";
const CONTAINER: &str = "curl";
/// Each request gets a connection of its own, because one connection always reaches the same pod.
const COMMAND: [&str; 4] = ["curl", "-sS", "-H", "Connection: close"];
const SERVERS: &str = "app=helloworld";
const SERVICE: &str = "helloworld";
const URL: &str = "helloworld.sample:5000/hello";
/// What precedes the name of the pod in an answer.
const INSTANCE: &str = "instance: ";

/// What sends requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The sample apps of Istio's documentation.
    Sample,
    /// No requests are sent.
    None,
}

/// A pod that sends requests, and what they go to.
pub struct Probe<'a> {
    pub scope: Scope<'a>,
    pub namespace: String,
    pub pod: String,
    pub node: String,
    pub container: String,
    /// Sends a request to each URL after it, and prints a line for each answer.
    pub command: Vec<String>,
    pub url: String,
    pub service: Service,
    /// How the answering pod calls itself in an answer.
    pub instance: fn(&str) -> Option<&str>,
}

/// What answers, as the series name it. It has the same name in each cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    pub name: String,
    pub namespace: String,
}

/// A pod that answers.
pub struct Server {
    /// How it calls itself in its answers.
    pub instance: String,
    pub node: String,
}

/// What sends and what answers in one cluster, or why nothing does.
pub struct Ends<'a> {
    pub client: Result<Probe<'a>, String>,
    pub servers: Result<Vec<Server>, String>,
}

/// The ends of all clusters that this machine reaches.
pub type Probes<'a> = BTreeMap<ClusterName, Ends<'a>>;

/// The sample apps of Istio's documentation: requests from `curl` to `helloworld`.
pub async fn sample<'a>(run: &Run<'a>) -> Probes<'a> {
    let ends = run.mesh.all().map(async |cluster| {
        let scope = run.on(Step::AggregateMetrics, cluster);
        let (clients, servers) = tokio::join!(
            pods::labelled(&scope, NAMESPACE, CLIENTS),
            pods::labelled(&scope, NAMESPACE, SERVERS),
        );
        let ends = Ends {
            client: clients
                .map_err(|e| format!("{e:#}"))
                .and_then(|pods| client(scope, &pods)),
            servers: servers
                .map_err(|e| format!("{e:#}"))
                .and_then(|pods| servers_of(&pods)),
        };
        (cluster.name.clone(), ends)
    });
    join_all(ends).await.into_iter().collect()
}

fn client<'a>(scope: Scope<'a>, pods: &[Pod]) -> Result<Probe<'a>, String> {
    let ready = pods.iter().rev().find(|pod| pods::is_ready(pod));
    let (pod, node) = ready.and_then(name_and_node).ok_or_else(|| {
        format!(
            "no ready pod with label {CLIENTS} in namespace {NAMESPACE} to send requests from; --probes none skips this"
        )
    })?;
    Ok(Probe {
        scope,
        namespace: NAMESPACE.into(),
        pod,
        node,
        container: CONTAINER.into(),
        command: COMMAND.map(Into::into).to_vec(),
        url: URL.into(),
        service: Service {
            name: SERVICE.into(),
            namespace: NAMESPACE.into(),
        },
        instance: |answer| Some(answer.rsplit_once(INSTANCE)?.1.trim()),
    })
}

fn servers_of(pods: &[Pod]) -> Result<Vec<Server>, String> {
    let ready = pods.iter().filter(|pod| pods::is_ready(pod));
    let servers = ready
        .filter_map(name_and_node)
        .map(|(instance, node)| Server { instance, node });
    let servers = servers.collect::<Vec<_>>();
    match servers.is_empty() {
        true => Err(format!(
            "no ready pod with label {SERVERS} in namespace {NAMESPACE} to answer requests"
        )),
        false => Ok(servers),
    }
}

fn name_and_node(pod: &Pod) -> Option<(String, String)> {
    let node = pod.spec.as_ref()?.node_name.clone()?;
    Some((pod.metadata.name.clone()?, node))
}
