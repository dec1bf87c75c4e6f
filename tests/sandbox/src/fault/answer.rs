//! Answers that do not come from the API server.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::Response;
use serde_json::json;

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub code: u16,
    pub content_type: &'static str,
    /// In seconds.
    pub retry_after: Option<u32>,
    pub body: String,
}

impl Answer {
    /// An error as an API server returns it: a Status, which repeats the Retry-After header.
    pub fn status(code: u16, reason: &str, message: &str, retry_after: Option<u32>) -> Answer {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        });
        if let Some(seconds) = retry_after {
            status["details"] = json!({"retryAfterSeconds": seconds});
        }
        Answer {
            code,
            content_type: "application/json",
            retry_after,
            body: status.to_string(),
        }
    }

    /// The error of an API server whose queues are full, in plain text.
    pub fn busy(retry_after: u32) -> Answer {
        Answer {
            code: 429,
            content_type: "text/plain; charset=utf-8",
            retry_after: Some(retry_after),
            body: "Too many requests, please try again later.\n".into(),
        }
    }

    /// The error page of an nginx whose backend does not answer.
    pub fn html(code: u16, title: &str) -> Answer {
        let head = format!("<html>\r\n<head><title>{code} {title}</title></head>\r\n");
        let body = format!(
            "<body>\r\n<center><h1>{code} {title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Answer {
            code,
            content_type: "text/html",
            retry_after: None,
            body: head + &body,
        }
    }

    /// The event that tells a watch that its resource version is too old.
    pub fn expired_watch() -> Answer {
        let gone = Answer::status(410, "Expired", "too old resource version: 1 (2)", None);
        Answer {
            code: 200,
            body: format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", gone.body),
            ..gone
        }
    }

    pub(super) fn response(self) -> Response {
        let mut response = Response::builder()
            .status(self.code)
            .header(CONTENT_TYPE, self.content_type);
        if let Some(seconds) = self.retry_after {
            response = response.header(RETRY_AFTER, seconds);
        }
        response
            .body(Body::from(self.body))
            .expect("a valid answer")
    }
}
