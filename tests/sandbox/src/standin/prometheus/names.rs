//! An HTTP proxy that replaces the cluster's DNS. Prometheus resolves names with the resolver of this machine, which
//! knows no Services.
//!
//! What it cannot show: Prometheus' messages for DNS errors (a name that does not resolve is a 502 here), and targets
//! with https.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::Cluster;
use crate::standin::container::Container;
use crate::standin::{http, service};

/// Serves while the handle is held.
pub async fn serve(container: &Container) -> Result<(SocketAddr, AbortOnDropHandle<()>)> {
    let listener = TcpListener::bind((container.ip, 0))
        .await
        .context("bind the proxy for names")?;
    let address = listener.local_addr()?;
    let cluster = container.cluster.clone();
    let router = Router::new().fallback(move |request: Request| {
        let cluster = cluster.clone();
        async move {
            pass(&cluster, request)
                .await
                .unwrap_or_else(IntoResponse::into_response)
        }
    });
    let serving = tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    });
    Ok((address, AbortOnDropHandle::new(serving)))
}

async fn pass(cluster: &Cluster, mut request: Request) -> Result<Response, (StatusCode, String)> {
    let refuse = |why: String| (StatusCode::BAD_GATEWAY, why);
    let host = request.uri().host().unwrap_or_default().to_owned();
    let port = request.uri().port_u16().unwrap_or(80);
    let to = match host.parse() {
        Ok(ip) => SocketAddr::new(ip, port),
        Err(_) => service::resolve(&cluster.client(), &host, port)
            .await
            .map_err(|error| refuse(format!("{error:#}")))?,
    };
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    *request.uri_mut() = path
        .parse::<Uri>()
        .map_err(|error| refuse(error.to_string()))?;
    http::forward(to, request).await.map_err(refuse)
}
