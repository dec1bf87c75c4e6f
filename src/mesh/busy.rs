//! Answers of a busy server. The API server's own 429, of priority and fairness, is plain text with
//! the time to come back in a header, and kube drops headers.

use http::Response;
use http::header::{HeaderMap, RETRY_AFTER};
use http_body_util::{BodyExt, Limited};
use kube::Error;
use kube::client::Body;
use kube::core::Status;
use kube::core::response::StatusDetails;

const LARGEST: usize = 64 << 10;

/// In seconds; the other form of the header, a date, would be judged by a clock.
pub fn retry_after(headers: &HeaderMap) -> Option<u32> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok()
}

/// The answer as an error that carries that time.
pub async fn later(response: Response<Body>, seconds: u32) -> Error {
    let code = response.status().as_u16();
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    // What is longer than any such text is no text for anybody.
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    Error::Api(status(&body, code, seconds).boxed())
}

fn status(body: &[u8], code: u16, seconds: u32) -> Status {
    let mut status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| {
        Status::failure(String::from_utf8_lossy(body).trim(), "").with_code(code)
    });
    let details = status.details.get_or_insert_with(|| StatusDetails {
        name: String::new(),
        group: String::new(),
        kind: String::new(),
        uid: String::new(),
        causes: Vec::new(),
        retry_after_seconds: 0,
    });
    details.retry_after_seconds = details.retry_after_seconds.max(seconds);
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_kept_with_text_and_with_a_status() {
        let plain = status(b"Too many requests, please try again later.\n", 429, 7);
        assert_eq!(plain.code, 429);
        assert_eq!(plain.message, "Too many requests, please try again later.");
        assert_eq!(plain.details.unwrap().retry_after_seconds, 7);
        let body = br#"{"code": 503, "message": "starting", "details": {"name": "a", "retryAfterSeconds": 9}}"#;
        let details = status(body, 503, 7).details.unwrap();
        assert_eq!(
            (details.name.as_str(), details.retry_after_seconds),
            ("a", 9)
        );
    }
}
