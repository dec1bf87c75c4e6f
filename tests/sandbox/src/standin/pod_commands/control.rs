//! How commands in pods query the sandbox: one line of JSON for the question, one for the answer.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::{CONTROL, envs};
use crate::Cluster;
use crate::standin::World;
use crate::standin::sample::Reset;
use crate::standin::service::{self, Missing};

#[derive(Serialize, Deserialize)]
struct Question {
    host: String,
    port: u16,
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
    // Bare names are names in the sample's namespace, because `curl` is in it.
    let (name, namespace) = match service::parse(&question.host) {
        Some(found) => found,
        None if !question.host.contains('.') => (question.host.as_str(), "sample"),
        None => return Ok(Answer::NoSuchHost),
    };
    if (name, namespace, question.port) == ("helloworld", "sample", 5000) {
        let api = Api::<Service>::namespaced(cluster.client(), namespace);
        return Ok(match api.get_opt(name).await? {
            None => Answer::NoSuchHost,
            Some(_) => match world.traffic.request(cluster.name()).await {
                Ok(line) => Answer::Hello(line),
                Err(error) if error.is::<Reset>() => Answer::Reset,
                Err(_) => Answer::Refused,
            },
        });
    }
    match service::backend(&cluster.client(), namespace, name, question.port).await {
        Ok(address) => Ok(Answer::At(address)),
        Err(Missing::Service) => Ok(Answer::NoSuchHost),
        Err(Missing::Api(error)) => Err(error.into()),
        Err(_) => Ok(Answer::Refused),
    }
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
                "local": { "envs": envs(control, "curl", None, "curl", &[], Path::new("")) },
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
    let mut question = serde_json::to_string(&Question {
        host: host.to_owned(),
        port,
    })?;
    question.push('\n');
    stream.write_all(question.as_bytes()).await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    serde_json::from_str(&line).map_err(|_| anyhow!("the sandbox did not answer"))
}
