//! How commands in pods query the sandbox: one line of JSON for the question, one for the answer.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{CONTROL, NAMESPACE, envs};
use crate::Cluster;
use crate::standin::World;
use crate::standin::sample::{self, Connection, Named, Reset, Workload};
use crate::standin::service::{self, Missing};

/// How long a command takes to connect to the address that it got.
const SOON: Duration = Duration::from_secs(10);
const MODE: (&str, &str) = ("istio.io/dataplane-mode", "ambient");

#[derive(Serialize, Deserialize)]
struct Question {
    host: String,
    port: u16,
    /// The pod that asks.
    namespace: String,
    pod: String,
}

/// What listens at a host and port.
#[derive(Serialize, Deserialize, Debug)]
pub enum Answer {
    At(SocketAddr),
    /// The sample app, with its answer to `/hello`.
    Hello(String),
    NoSuchHost,
    Refused,
    /// The connection is accepted and closed without an answer.
    Reset,
}

/// Serves one cluster while the handle is held, and allows exec for the sample's `curl`.
pub async fn serve(
    cluster: &Cluster,
    world: &World,
) -> Result<(SocketAddr, AbortOnDropHandle<()>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let (cluster, world) = (cluster.clone(), world.clone());
    let task = tokio::spawn(async move {
        tokio::join!(
            accept(listener, &cluster, &world),
            allow_curl(&cluster, address)
        );
    });
    Ok((address, AbortOnDropHandle::new(task)))
}

async fn accept(listener: TcpListener, cluster: &Cluster, world: &World) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let (cluster, world) = (cluster.clone(), world.clone());
            tokio::spawn(async move {
                if let Err(error) = reply(stream, &cluster, &world).await {
                    eprintln!("{}: command in a pod: {error:#}", cluster.name());
                }
            });
        }
    }
}

async fn reply(stream: TcpStream, cluster: &Cluster, world: &World) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let question: Question = serde_json::from_str(&line)?;
    let mut answer = serde_json::to_string(&find(cluster, world, &question).await?)?;
    answer.push('\n');
    stream.write_all(answer.as_bytes()).await?;
    Ok(())
}

async fn find(cluster: &Cluster, world: &World, question: &Question) -> Result<Answer> {
    // Bare names are names in the namespace of the pod.
    let (name, namespace) = match service::parse(&question.host) {
        Some(found) => found,
        None if !question.host.contains('.') => {
            (question.host.as_str(), question.namespace.as_str())
        }
        None => return Ok(Answer::NoSuchHost),
    };
    if is_in_mesh(cluster, &question.namespace).await? && is_in_mesh(cluster, namespace).await? {
        return through_mesh(cluster, world, question, Named::new(namespace, name)).await;
    }
    match service::backend(&cluster.client(), namespace, name, question.port).await {
        Ok(address) => Ok(Answer::At(address)),
        Err(Missing::Service) => Ok(Answer::NoSuchHost),
        Err(Missing::Api(error)) => Err(error.into()),
        Err(_) => Ok(Answer::Refused),
    }
}

async fn is_in_mesh(cluster: &Cluster, namespace: &str) -> Result<bool> {
    let found = Api::<Namespace>::all(cluster.client())
        .get_opt(namespace)
        .await?;
    let mode = found.and_then(|namespace| namespace.labels().get(MODE.0).cloned());
    Ok(mode.as_deref() == Some(MODE.1))
}

/// Connects through the ztunnels, possibly to a pod of another cluster.
async fn through_mesh(
    cluster: &Cluster,
    world: &World,
    question: &Question,
    service: Named,
) -> Result<Answer> {
    let services = Api::<Service>::namespaced(cluster.client(), &service.namespace);
    if services.get_opt(&service.name).await?.is_none() {
        return Ok(Answer::NoSuchHost);
    }
    let pods = Api::<Pod>::namespaced(cluster.client(), &question.namespace);
    // The pod of `curl` is not known by its name.
    let pod = pods.get_opt(&question.pod).await?;
    let sender = pod.map_or_else(Workload::curl, |pod| Workload::of(&pod));
    let is_sample = (&service, question.port) == (&Named::helloworld(), sample::PORT);
    let opened = world
        .traffic
        .open(cluster.name(), sender, service, question.port);
    match opened.await {
        Ok(connection) if is_sample => Ok(Answer::Hello(connection.hello())),
        Ok(connection) => match connection.address() {
            Some(address) => Ok(Answer::At(relay(connection, address).await?)),
            None => Ok(Answer::Refused),
        },
        Err(error) if error.is::<Reset>() => Ok(Answer::Reset),
        Err(_) => Ok(Answer::Refused),
    }
}

/// Forwards one connection to a pod, and counts its bytes.
async fn relay(connection: Connection, pod: SocketAddr) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        let Ok(Ok((mut client, _))) = timeout(SOON, listener.accept()).await else {
            return;
        };
        let Ok(mut server) = TcpStream::connect(pod).await else {
            return;
        };
        if let Ok((received, sent)) = copy_bidirectional(&mut client, &mut server).await {
            connection.transferred(received, sent);
        }
    });
    Ok(address)
}

/// Allows exec for the `curl` pod, whatever its name. kwok simulates this pod.
async fn allow_curl(cluster: &Cluster, control: SocketAddr) {
    let object = json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterExec",
        "metadata": { "name": "sandbox-curl" },
        "spec": {
            "selector": { "matchNamespaces": ["sample"] },
            "execs": [{
                "containers": ["curl"],
                "local": { "envs": envs(control, "curl", None, &Workload::curl().named, &[], Path::new("")) },
            }],
        },
    });
    let kind = crate::standin::kubelet::kwok_resource("ClusterExec", "clusterexecs");
    let api = Api::<DynamicObject>::all_with(cluster.client(), &kind);
    let params = PatchParams::apply("sandbox").force();
    while let Err(error) = api
        .patch("sandbox-curl", &params, &Patch::Apply(&object))
        .await
    {
        if !matches!(&error, kube::Error::Api(status) if status.is_not_found()) {
            eprintln!("{}: exec in the curl pod: {error}", cluster.name());
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

/// Called by a command in a pod. IP addresses are not looked up.
pub async fn ask(host: &str, port: u16) -> Result<Answer> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(Answer::At(SocketAddr::new(ip, port)));
    }
    let control = std::env::var(CONTROL).context("not started by the sandbox's kubelet")?;
    let mut stream = BufReader::new(TcpStream::connect(control).await?);
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let mut question = serde_json::to_string(&Question {
        host: host.to_owned(),
        port,
        namespace: variable(NAMESPACE),
        pod: variable("HOSTNAME"),
    })?;
    question.push('\n');
    stream.write_all(question.as_bytes()).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    serde_json::from_str(&line).map_err(|_| anyhow!("the sandbox did not answer"))
}
