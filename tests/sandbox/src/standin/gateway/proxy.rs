//! One listening socket of a Gateway, answering as Envoy does.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

use super::routes::{Asked, Decision, decide};
use super::{Bound, Mirrors};
use crate::Cluster;
use crate::standin::{http, service};

pub(super) async fn serve(
    listener: TcpListener,
    cluster: Cluster,
    mirrors: Arc<Mirrors>,
    bound: Bound,
) {
    let bound = Arc::new(bound);
    let router = Router::new().fallback(move |request: Request| {
        let (cluster, mirrors, bound) = (cluster.clone(), mirrors.clone(), bound.clone());
        async move {
            let mut response = answer(&cluster, &mirrors, &bound, request).await;
            let envoy = HeaderValue::from_static("istio-envoy");
            response.headers_mut().insert(header::SERVER, envoy);
            response
        }
    });
    let _ = axum::serve(listener, router).await;
}

async fn answer(
    cluster: &Cluster,
    mirrors: &Mirrors,
    bound: &Bound,
    mut request: Request,
) -> Response {
    if mirrors.denied(&bound.namespace) {
        return (StatusCode::FORBIDDEN, "RBAC: access denied").into_response();
    }
    let path = normal(request.uri().path());
    let decision = {
        let routes = mirrors.routes.all();
        let asked = asked(&request, &path);
        let routes = routes.iter().map(AsRef::as_ref);
        decide(
            routes,
            &bound.namespace,
            &bound.gateway,
            &bound.listeners,
            &asked,
        )
    };
    let (namespace, name, port) = match decision {
        Decision::NoRoute => return StatusCode::NOT_FOUND.into_response(),
        Decision::Broken(why) => {
            eprintln!("{}: gateway {}: {why}", cluster.name(), bound.gateway);
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Decision::Backend {
            namespace,
            name,
            port,
        } => (namespace, name, port),
    };
    let to = match mirrors.backend(&namespace, &name, port) {
        Ok(to) => to,
        Err(service::Missing::Service | service::Missing::Port) => {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Err(_) => return unavailable("no healthy upstream"),
    };
    match target(&request, path) {
        Some(target) => *request.uri_mut() = target,
        None => return StatusCode::BAD_REQUEST.into_response(),
    }
    match http::forward(to, request).await {
        Ok(response) => response,
        Err(why) => unavailable(&format!(
            "upstream connect error or disconnect/reset before headers. reset reason: {why}"
        )),
    }
}

/// The path as it was matched, with the query as it was sent.
fn target(request: &Request, path: String) -> Option<Uri> {
    let target = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    target.parse().ok()
}

fn unavailable(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, why.to_owned()).into_response()
}

fn asked<'a>(request: &'a Request, path: &'a str) -> Asked<'a> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().host()).unwrap_or_default();
    let headers = request.headers().iter();
    let query = request.uri().query().unwrap_or_default().split('&');
    let pair = |pair: &str| {
        pair.split_once('=')
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
    };
    Asked {
        method: request.method().as_str(),
        host: host.rsplit_once(':').map_or(host, |(host, _)| host),
        path,
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        query: query.filter_map(pair).collect(),
    }
}

/// Istio lets Envoy resolve dots in a path before it matches, else they would lead around a route.
fn normal(path: &str) -> String {
    let path = path.replace("%2e", ".").replace("%2E", ".");
    let mut kept: Vec<&str> = Vec::new();
    let mut folder = false;
    for segment in path.split('/').skip(1) {
        folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    if folder {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn dots_are_resolved() {
        assert_eq!(normal("/federate"), "/federate");
        assert_eq!(normal("/"), "/");
        assert_eq!(normal("/a/"), "/a/");
        assert_eq!(normal("//a"), "//a");
        assert_eq!(normal("/federate/../api/v1"), "/api/v1");
        assert_eq!(normal("/federate/%2e%2E/api"), "/api");
        assert_eq!(normal("/a/b/.."), "/a/");
        assert_eq!(normal("/../.."), "/");
    }
}
