//! One GET to a pod through the API server's port-forward.

use std::time::Duration;

use anyhow::{Context, Result};
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// The status code. Bounded, because a stream to a dead port never says that it ended.
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
