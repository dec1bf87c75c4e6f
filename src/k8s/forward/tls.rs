//! One request over a new TLS connection to a pod, to see whom the pod lets in and how it proves itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::TlsConnector;

use super::{LARGEST, Target, ask, silent, stream};
use crate::k8s::Scope;

/// Sends a GET request over a new connection. Returns the certificate of a pod that let the client in.
pub async fn get(
    scope: &Scope<'_>,
    target: &Target,
    config: ClientConfig,
    name: &'static str,
    path: &str,
    patience: Duration,
) -> Result<Option<CertificateDer<'static>>> {
    let patience = scope.deadline.at_most(patience);
    let asked = tokio::time::timeout(patience, answer(scope, target, config, name, path)).await;
    asked.map_err(|_| silent(patience))?
}

async fn answer(
    scope: &Scope<'_>,
    target: &Target,
    config: ClientConfig,
    name: &'static str,
    path: &str,
) -> Result<Option<CertificateDer<'static>>> {
    let (stream, forward) = stream(scope, target).await?;
    let name = ServerName::try_from(name).context("a name")?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = stream.await?;
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = certificates.and_then(|all| all.first()).cloned();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The error of the connection says more than that of the request, which only finds it closed.
    let answered = tokio::select! {
        answered = ask(&mut sender, path, false, LARGEST) => answered.map(drop),
        ended = connection => Err(match ended {
            Err(error) => error.into(),
            Ok(()) => anyhow::anyhow!("the connection was closed"),
        }),
    };
    forward.abort();
    answered.map(|()| certificate)
}

/// Whether the error is that the pod refused the client's certificate, or the lack of one.
pub fn is_refusal(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        let inner = io.and_then(|io| io.get_ref());
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        matches!(tls, Some(rustls::Error::AlertReceived(_)))
    })
}
