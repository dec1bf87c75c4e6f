//! What the transport knows of a request: whether it changes the cluster, and its line in the request log.
//! The log has neither bodies nor headers, and only harmless parts of a query: the command of an exec is
//! in its query, and any of these may hold a token.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;

/// What a request may change in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    None,
    Write,
    Delete,
}

impl Effect {
    /// Access reviews and dry runs use writing methods but change nothing. Leases are not part of an install.
    pub fn of(request: &Request<Body>) -> Effect {
        let query = request.uri().query().unwrap_or_default();
        let path = request.uri().path();
        let ignored_groups = [
            "/apis/authorization.k8s.io/",
            "/apis/authentication.k8s.io/",
            "/apis/coordination.k8s.io/",
        ];
        match *request.method() {
            _ if query.split('&').any(|pair| pair == "dryRun=All") => Effect::None,
            _ if ignored_groups.iter().any(|group| path.starts_with(group)) => Effect::None,
            Method::GET | Method::HEAD | Method::OPTIONS => Effect::None,
            Method::DELETE => Effect::Delete,
            _ => Effect::Write,
        }
    }
}

/// One finished request, as the request log shows it.
#[derive(Debug)]
pub struct RequestLog<'a> {
    pub server: &'a str,
    pub method: &'a Method,
    pub path: &'a str,
    /// None if there was no response.
    pub status: Option<StatusCode>,
    pub took: Duration,
}

/// Query parameters that tell kinds of requests apart and cannot hold a secret.
const LOGGED_QUERY: [&str; 2] = ["watch=true", "dryRun=All"];

static LOGGER: OnceLock<fn(&RequestLog<'_>)> = OnceLock::new();

/// Must be called before the first request.
pub fn set_request_logger(logger: fn(&RequestLog<'_>)) {
    let _ = LOGGER.set(logger);
}

/// A request in flight that will be logged.
pub struct PendingLog {
    method: Method,
    path: String,
    started: Instant,
    logger: fn(&RequestLog<'_>),
}

impl PendingLog {
    pub fn start(request: &Request<Body>) -> Option<PendingLog> {
        let logger = *LOGGER.get()?;
        Some(PendingLog {
            method: request.method().clone(),
            path: path(request),
            started: Instant::now(),
            logger,
        })
    }

    pub fn finished<E>(&self, server: &str, answer: &Result<Response<Body>, E>) {
        (self.logger)(&RequestLog {
            server,
            method: &self.method,
            path: &self.path,
            status: answer.as_ref().ok().map(Response::status),
            took: self.started.elapsed(),
        });
    }
}

fn path(request: &Request<Body>) -> String {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let pairs = pairs.filter(|pair| LOGGED_QUERY.contains(pair));
    let query = pairs.collect::<Vec<_>>().join("&");
    let path = request.uri().path();
    match query.as_str() {
        "" => path.into(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(method: &str, uri: &str) -> Effect {
        let request = Request::builder().method(method).uri(uri);
        Effect::of(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn reads_reviews_and_dry_runs_have_no_effect() {
        assert_eq!(
            effect("PATCH", "/api/v1/namespaces/a?force=true"),
            Effect::Write
        );
        assert_eq!(effect("DELETE", "/api/v1/namespaces/a"), Effect::Delete);
        for (method, uri) in [
            ("GET", "/api/v1/namespaces/a/pods/b/exec?command=c"),
            ("PATCH", "/api/v1/namespaces/a?dryRun=All&force=true"),
            (
                "POST",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            ),
        ] {
            assert_eq!(effect(method, uri), Effect::None, "{method} {uri}");
        }
    }

    fn logged(uri: &str) -> String {
        path(&Request::get(uri).body(Body::empty()).unwrap())
    }

    #[test]
    fn only_harmless_query_parameters_are_logged() {
        let exec = "/api/v1/namespaces/a/pods/b/exec?command=curl&command=token%3Dabc";
        assert_eq!(logged(exec), "/api/v1/namespaces/a/pods/b/exec");
        let dry = "/api/v1/namespaces/a?&dryRun=All&force=true&fieldManager=ambikiali";
        assert_eq!(logged(dry), "/api/v1/namespaces/a?dryRun=All");
        let watch = "/api/v1/pods?&watch=true&fieldSelector=metadata.name%3Dwatch=true";
        assert_eq!(logged(watch), "/api/v1/pods?watch=true");
    }
}
