//! Sends one GET to a pod through the API server's port-forward.
//!
//! The real Kiali uses POST, which needs the verb `create`. kube only speaks WebSockets, which use GET and need the
//! verb `get`. So this asks whether Kiali has the right it needs, and forwards with the sandbox's own client.

use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::standin::container::Container;

/// Whether the client may create a port-forward in a namespace.
pub(super) async fn allowed(client: &Client, namespace: &str) -> Result<bool, kube::Error> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let question = json!({"metadata": {}, "spec": {"resourceAttributes": {
        "namespace": namespace, "resource": "pods", "subresource": "portforward", "verb": "create",
    }}});
    let question = serde_json::from_value(question).map_err(kube::Error::SerdeError)?;
    let answer = reviews.create(&PostParams::default(), &question).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// Returns the cluster's admin client. The cluster is found by its UID, because a kubeconfig may reach it by any
/// address.
pub(super) async fn owner(container: &Container, client: &Client) -> Option<Client> {
    let uid = async |client: Client| {
        let namespaces: Api<Namespace> = Api::all(client);
        namespaces.get("kube-system").await.ok()?.metadata.uid
    };
    let wanted = uid(client.clone()).await?;
    for cluster in container.world.traffic.clusters() {
        if uid(cluster.client()).await.as_ref() == Some(&wanted) {
            return Some(cluster.client());
        }
    }
    None
}

/// Returns the status code. Has a timeout, because a stream to a dead port never ends.
pub(super) async fn get(pods: &Api<Pod>, pod: &str, port: u16, path: &str) -> Result<u16> {
    let asked = timeout(Duration::from_secs(10), ask(pods, pod, port, path)).await;
    asked.context("no answer within 10 s")?
}

async fn ask(pods: &Api<Pod>, pod: &str, port: u16, path: &str) -> Result<u16> {
    let mut forward = pods.portforward(pod, &[port]).await?;
    let stream = forward.take_stream(port).context("no stream")?;
    let refused = forward.take_error(port).context("no error stream")?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(path)
        .header("host", "localhost")
        .body(Empty::<Bytes>::new())?;
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer?.status().as_u16(),
        Some(why) = refused => anyhow::bail!("{why}"),
    };
    forward.abort();
    Ok(answer)
}
