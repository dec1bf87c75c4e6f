//! A small HTTP server that closes all connections when its future is dropped. A deleted pod no longer answers, not
//! even on connections that were already open.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(in crate::standin) type Answer = Response<Full<Bytes>>;

/// The parts of a request that a handler needs.
pub(in crate::standin) struct Call {
    pub(in crate::standin) path: String,
    pub(in crate::standin) query: HashMap<String, String>,
    /// The header Host.
    pub(in crate::standin) host: String,
    pub(in crate::standin) cookies: HashMap<String, String>,
    /// Whether the request carries any credentials.
    pub(in crate::standin) credential: bool,
}

/// Serves forever.
pub(in crate::standin) async fn serve<F, A>(listener: TcpListener, handler: F) -> !
where
    F: Fn(Call) -> A + Clone + Send + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let handler = handler.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let answer = handler(call(&request));
                        async { Ok::<_, Infallible>(answer.await) }
                    });
                    // An error only means that the client closed the connection.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

fn call(request: &Request<Incoming>) -> Call {
    let url = reqwest::Url::parse(&format!("http://kiali{}", request.uri()));
    let query = url
        .map(|url| url.query_pairs().into_owned().collect())
        .unwrap_or_default();
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let cookies = header(COOKIE).unwrap_or_default().split(';');
    let cookies = cookies.filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        Some((name.to_string(), value.to_string()))
    });
    Call {
        host: header(HOST).unwrap_or_default().to_string(),
        cookies: cookies.collect(),
        path: request.uri().path().to_string(),
        query,
        credential: request.headers().contains_key(AUTHORIZATION),
    }
}

pub(in crate::standin) fn text(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    answer
}

pub(in crate::standin) fn json(value: &Value) -> Answer {
    text(StatusCode::OK, "application/json", value.to_string())
}

pub(in crate::standin) fn error(status: StatusCode, why: impl ToString) -> Answer {
    let body = json!({"error": why.to_string()});
    text(status, "application/json", body.to_string())
}
