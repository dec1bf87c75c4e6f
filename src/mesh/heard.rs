//! Requests as somebody who looks for a slow or refused one wants to hear of them. Neither bodies nor
//! headers nor the rest of a query: a command for a pod is a query, and a token may be in each of them.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;

/// A request and what came of it.
#[derive(Debug)]
pub struct Heard<'a> {
    pub server: &'a str,
    pub method: &'a Method,
    pub path: &'a str,
    /// None: no answer.
    pub status: Option<StatusCode>,
    pub took: Duration,
}

/// What tells kinds of requests apart, and nothing of anybody's.
const HARMLESS: [&str; 2] = ["watch=true", "dryRun=All"];

static LISTENER: OnceLock<fn(&Heard<'_>)> = OnceLock::new();

/// Before the first request.
pub fn listen(listener: fn(&Heard<'_>)) {
    let _ = LISTENER.set(listener);
}

/// One request under way; None when nobody listens.
pub struct Asked {
    method: Method,
    path: String,
    since: Instant,
    listener: fn(&Heard<'_>),
}

impl Asked {
    pub fn now(request: &Request<Body>) -> Option<Asked> {
        let listener = *LISTENER.get()?;
        Some(Asked {
            method: request.method().clone(),
            path: path(request),
            since: Instant::now(),
            listener,
        })
    }

    pub fn answered<E>(&self, server: &str, answer: &Result<Response<Body>, E>) {
        (self.listener)(&Heard {
            server,
            method: &self.method,
            path: &self.path,
            status: answer.as_ref().ok().map(Response::status),
            took: self.since.elapsed(),
        });
    }
}

fn path(request: &Request<Body>) -> String {
    let pairs = request.uri().query().unwrap_or_default().split('&');
    let pairs = pairs.filter(|pair| HARMLESS.contains(pair));
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

    fn told(uri: &str) -> String {
        path(&Request::get(uri).body(Body::empty()).unwrap())
    }

    #[test]
    fn of_a_query_only_what_can_hold_no_secret_is_told() {
        let exec = "/api/v1/namespaces/a/pods/b/exec?command=curl&command=token%3Dabc";
        assert_eq!(told(exec), "/api/v1/namespaces/a/pods/b/exec");
        let dry = "/api/v1/namespaces/a?&dryRun=All&force=true&fieldManager=ambikiali";
        assert_eq!(told(dry), "/api/v1/namespaces/a?dryRun=All");
        let watch = "/api/v1/pods?&watch=true&fieldSelector=metadata.name%3Dwatch=true";
        assert_eq!(told(watch), "/api/v1/pods?watch=true");
    }
}
