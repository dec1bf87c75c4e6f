//! Sends HTTP requests to a pod through a port-forward of the API server, which works wherever kubectl works and
//! exposes nothing.

pub mod tls;

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::Portforwarder;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Scope;
use crate::mesh::retry::persist;
use crate::problem;
use crate::visible;

const LARGEST: usize = 32 << 20;

/// A port of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub namespace: String,
    pub pod: String,
    pub port: u16,
}

/// A connection to a port of a pod, for consecutive requests.
pub struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    connection: JoinHandle<()>,
    forward: Portforwarder,
    end: Instant,
    patience: Duration,
    /// Whether the server is asked to close the connection after its answer.
    once: bool,
}

impl Connection {
    /// Opens a connection. `patience` limits all its requests together.
    pub async fn open(
        scope: &Scope<'_>,
        target: &Target,
        patience: Duration,
    ) -> Result<Connection> {
        let patience = scope.deadline.at_most(patience);
        let end = Instant::now() + patience;
        let opened = tokio::time::timeout_at(end, connect(scope, target)).await;
        let (sender, connection, forward) = opened.map_err(|_| silent(patience))??;
        Ok(Connection {
            sender,
            connection,
            forward,
            end,
            patience,
            once: false,
        })
    }

    /// Opens a connection for one request, after which the server closes it. Looks that are repeated need this: a
    /// kubelet may keep a connection whose port-forward ended, and Prometheus accepts only some.
    pub async fn once(
        scope: &Scope<'_>,
        target: &Target,
        patience: Duration,
    ) -> Result<Connection> {
        let mut connection = Connection::open(scope, target, patience).await?;
        connection.once = true;
        Ok(connection)
    }

    /// Sends a GET request and returns the status of the response.
    pub async fn status(&mut self, path: &str) -> Result<StatusCode> {
        Ok(self.ask(path, LARGEST).await?.0)
    }

    /// Sends a GET request like a scrape, and returns how many bytes the compressed response has.
    pub async fn size(&mut self, path: &str) -> Result<u64> {
        let counted = tokio::time::timeout_at(self.end, count(&mut self.sender, path)).await;
        counted.map_err(|_| silent(self.patience))?
    }

    /// Sends a GET request and returns the text of the response. Any status but 200 is an error.
    pub async fn text(&mut self, path: &str) -> Result<String> {
        self.text_of(path, LARGEST).await
    }

    /// The same for a response of at most this many bytes.
    pub async fn text_of(&mut self, path: &str, most: usize) -> Result<String> {
        let body = self.body(path, most).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn body(&mut self, path: &str, most: usize) -> Result<Bytes> {
        let (status, body) = self.ask(path, most).await?;
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&body);
            let line = text.lines().next().unwrap_or_default();
            bail!("answered {status}: {}", visible::short(line, visible::SAID));
        }
        Ok(body)
    }

    async fn ask(&mut self, path: &str, most: usize) -> Result<(StatusCode, Bytes)> {
        let asked = ask(&mut self.sender, path, self.once, most);
        let asked = tokio::time::timeout_at(self.end, asked).await;
        asked.map_err(|_| silent(self.patience))?
    }

    /// Sends a GET request and parses the JSON response. Any status but 200 is an error.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        let body = self.body(path, LARGEST).await?;
        serde_json::from_slice(&body).map_err(|error| {
            // The error quotes the response, so shorten it.
            let why = error.to_string();
            let why = visible::short(&why, visible::SAID);
            anyhow!("returned unexpected JSON: {why}")
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connection.abort();
        self.forward.abort();
    }
}

fn silent(patience: Duration) -> anyhow::Error {
    anyhow!(problem::no_answer(patience))
}

/// Sends a single GET request.
pub async fn get_json<T: DeserializeOwned>(
    scope: &Scope<'_>,
    target: &Target,
    path: &str,
    patience: Duration,
) -> Result<T> {
    Connection::once(scope, target, patience)
        .await?
        .get(path)
        .await
}

/// Opens a stream to the port of the pod, which ends with the Portforwarder.
async fn stream(
    scope: &Scope<'_>,
    target: &Target,
) -> Result<(
    impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    Portforwarder,
)> {
    let pods = Api::<Pod>::namespaced(scope.cluster.client.clone(), &target.namespace);
    let ports = [target.port];
    let start = || pods.portforward(&target.pod, &ports);
    let mut forward = persist(scope.deadline, start)
        .await
        .map_err(|cause| anyhow!("port-forward to pod {}: {}", target.pod, cause.text()))?;
    let stream = forward
        .take_stream(target.port)
        .context("port-forward has no stream")?;
    Ok((stream, forward))
}

async fn connect(
    scope: &Scope<'_>,
    target: &Target,
) -> Result<(SendRequest<Empty<Bytes>>, JoinHandle<()>, Portforwarder)> {
    let (stream, forward) = stream(scope, target).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The sender notices the end of the connection.
    let connection = tokio::spawn(async move { drop(connection.await) });
    Ok((sender, connection, forward))
}

fn get(path: &str) -> http::request::Builder {
    Request::get(path).header("host", "localhost")
}

async fn ask(
    sender: &mut SendRequest<Empty<Bytes>>,
    path: &str,
    once: bool,
    most: usize,
) -> Result<(StatusCode, Bytes)> {
    sender.ready().await?;
    let mut request = get(path);
    if once {
        request = request.header("connection", "close");
    }
    let request = request.body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    // Read by length or chunks: the end of a forwarded stream may never be signalled.
    let body = Limited::new(response.into_body(), most).collect().await;
    let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
        Ok(_) => anyhow!("its answer to GET {path} is larger than {} MiB", most >> 20),
        Err(error) => anyhow!(error),
    })?;
    Ok((status, body.to_bytes()))
}

/// Reads a response part by part, so that it may have any size.
async fn count(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<u64> {
    sender.ready().await?;
    let request = get(path).header("accept-encoding", "gzip");
    let response = sender.send_request(request.body(Empty::new())?).await?;
    if response.status() != StatusCode::OK {
        bail!("answered {}", response.status());
    }
    let mut body = response.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len) as u64;
    }
    Ok(bytes)
}
