//! One HTTP GET to a pod through a port-forward of the API server: the one way that works wherever
//! kubectl does, without exposing anything.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde::de::DeserializeOwned;

use super::Scope;
use crate::problem;

const LARGEST: usize = 32 << 20;

/// A pod's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub namespace: String,
    pub pod: String,
    pub port: u16,
}

/// The status and body of one GET, bounded by `patience`.
pub async fn get(
    scope: &Scope<'_>,
    target: &Target,
    path: &str,
    patience: Duration,
) -> Result<(StatusCode, Bytes)> {
    let patience = scope.deadline.at_most(patience);
    match tokio::time::timeout(patience, request(scope, target, path)).await {
        Ok(answer) => answer,
        Err(_) => bail!(problem::no_answer(patience)),
    }
}

/// A JSON answer with status 200.
pub async fn get_json<T: DeserializeOwned>(
    scope: &Scope<'_>,
    target: &Target,
    path: &str,
    patience: Duration,
) -> Result<T> {
    let (status, body) = get(scope, target, path, patience).await?;
    if status != StatusCode::OK {
        let text = String::from_utf8_lossy(&body);
        let line = text.lines().next().unwrap_or_default();
        bail!(
            "answered {status}: {}",
            line.chars().take(300).collect::<String>()
        );
    }
    serde_json::from_slice(&body).context("answered something that is not the JSON expected")
}

async fn request(scope: &Scope<'_>, target: &Target, path: &str) -> Result<(StatusCode, Bytes)> {
    let pods = Api::<Pod>::namespaced(scope.cluster.client.clone(), &target.namespace);
    let mut forward = pods
        .portforward(&target.pod, &[target.port])
        .await
        .map_err(|e| {
            anyhow!(
                "port-forward to pod {}: {}",
                target.pod,
                problem::kube_text(&e)
            )
        })?;
    let stream = forward
        .take_stream(target.port)
        .context("port-forward without a stream")?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "localhost")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        // By length or chunks, never to the end of the stream: the end may not be shown.
        let body = Limited::new(response.into_body(), LARGEST)
            .collect()
            .await
            .map_err(|e| anyhow!(e))?;
        anyhow::Ok((status, body.to_bytes()))
    }
    .await;
    connection.abort();
    forward.abort();
    answer
}
