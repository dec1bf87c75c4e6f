//! Where requests come from and go to. Every cluster may answer: which one did is told by the answer, and by the
//! series of both ends.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;

use super::own::Placed;
use crate::guide::{SAMPLE, Step};
use crate::k8s::{Scope, pods};
use crate::mesh::ClusterName;
use crate::run::Run;
use crate::steps::probes;

const CLIENTS: &str = "app=curl";
const CONTAINER: &str = "curl";
/// Each request gets a connection of its own, because one connection always reaches the same pod.
const COMMAND: [&str; 4] = ["curl", "-sS", "-H", "Connection: close"];
const SERVERS: &str = "app=helloworld";
const SERVICE: &str = "helloworld";
const URL: &str = "helloworld.sample:5000/hello";
/// What precedes the name of the pod in an answer.
const INSTANCE: &str = "instance: ";
/// The command in the client of our own, with a time limit in seconds for each request.
const FETCH: [&str; 4] = ["wget", "-qO-", "-T", "5"];

/// What sends requests.
#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// The sample apps of Istio's documentation.
    Sample,
    /// Probes of our own, as they were placed.
    Own(&'a [Placed<'a>]),
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
            pods::labelled(&scope, SAMPLE, CLIENTS),
            pods::labelled(&scope, SAMPLE, SERVERS),
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

/// Whether each cluster has the sample. A Service is answered by another cluster only where both have it.
pub fn is_sample_everywhere(sample: &Probes<'_>) -> bool {
    let mut all = sample.values();
    all.all(|ends| ends.client.is_ok() && ends.servers.is_ok())
}

/// Probes of our own: requests from the client of each cluster to the Service that all share.
pub fn own<'a>(run: &Run<'a>, placed: &'a [Placed<'a>]) -> Probes<'a> {
    let ends = placed.iter().map(|placed| {
        let cluster = placed.cluster;
        let running = placed.pods.as_ref();
        let running = running.map_err(|why| format!("its probes do not run: {why}"));
        let nodes = running.and_then(|pods| {
            let both = name_and_node(&pods.client).zip(name_and_node(&pods.server));
            both.ok_or_else(|| "its probes are on no node".to_string())
        });
        let (client, server) = match nodes {
            Ok(((pod, node), server)) => (Ok((pod, node)), Ok(server)),
            Err(why) => (Err(why.clone()), Err(why)),
        };
        let ends = Ends {
            client: client.map(|(pod, node)| own_client(run.on(Step::Probes, cluster), pod, node)),
            servers: server.map(|(_, node)| {
                let instance = cluster.name.to_string();
                vec![Server { instance, node }]
            }),
        };
        (cluster.name.clone(), ends)
    });
    ends.collect()
}

fn own_client<'a>(scope: Scope<'a>, pod: String, node: String) -> Probe<'a> {
    Probe {
        scope,
        namespace: probes::NAMESPACE.into(),
        pod,
        node,
        container: probes::CONTAINER.into(),
        command: FETCH.map(Into::into).to_vec(),
        url: probes::URL.into(),
        service: Service {
            name: probes::SERVICE.into(),
            namespace: probes::NAMESPACE.into(),
        },
        // The server answers with the name of its cluster.
        instance: |answer| Some(answer.trim()),
    }
}

fn client<'a>(scope: Scope<'a>, pods: &[Pod]) -> Result<Probe<'a>, String> {
    let ready = pods.iter().rev().find(|pod| pods::is_ready(pod));
    let (pod, node) = ready.and_then(name_and_node).ok_or_else(|| {
        format!(
            "no ready pod with label {CLIENTS} in namespace {SAMPLE} to send requests from; --probes own brings a client and a server, and --probes none skips this"
        )
    })?;
    Ok(Probe {
        scope,
        namespace: SAMPLE.into(),
        pod,
        node,
        container: CONTAINER.into(),
        command: COMMAND.map(Into::into).to_vec(),
        url: URL.into(),
        service: Service {
            name: SERVICE.into(),
            namespace: SAMPLE.into(),
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
            "no ready pod with label {SERVERS} in namespace {SAMPLE} to answer requests"
        )),
        false => Ok(servers),
    }
}

fn name_and_node(pod: &Pod) -> Option<(String, String)> {
    let node = pod.spec.as_ref()?.node_name.clone()?;
    Some((pod.metadata.name.clone()?, node))
}
