//! Which requests change a cluster: what an interrupt waits for, and what its summary counts.

use http::{Method, Request};
use kube::client::Body;

/// What a request may do to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Write,
    Delete,
}

impl Change {
    /// Reviews and dry runs are sent as writes and change nothing, and a Lease is not what is built.
    pub fn of(request: &Request<Body>) -> Change {
        let query = request.uri().query().unwrap_or_default();
        let path = request.uri().path();
        let besides = [
            "/apis/authorization.k8s.io/",
            "/apis/authentication.k8s.io/",
            "/apis/coordination.k8s.io/",
        ];
        match *request.method() {
            _ if query.split('&').any(|pair| pair == "dryRun=All") => Change::None,
            _ if besides.iter().any(|group| path.starts_with(group)) => Change::None,
            Method::GET | Method::HEAD | Method::OPTIONS => Change::None,
            Method::DELETE => Change::Delete,
            _ => Change::Write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(method: &str, uri: &str) -> Change {
        let request = Request::builder().method(method).uri(uri);
        Change::of(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn what_is_only_asked_changes_nothing() {
        assert_eq!(
            change("PATCH", "/api/v1/namespaces/a?force=true"),
            Change::Write
        );
        assert_eq!(change("DELETE", "/api/v1/namespaces/a"), Change::Delete);
        for (method, uri) in [
            ("GET", "/api/v1/namespaces/a/pods/b/exec?command=c"),
            ("PATCH", "/api/v1/namespaces/a?dryRun=All&force=true"),
            (
                "POST",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            ),
        ] {
            assert_eq!(change(method, uri), Change::None, "{method} {uri}");
        }
    }
}
