//! The header Retry-After. When the API server throttles a request, its 429 is plain text with the delay in
//! this header, and kube drops headers. The delay is therefore moved into the error's status.

use http::Response;
use http::header::{HeaderMap, RETRY_AFTER};
use http_body_util::{BodyExt, Limited};
use kube::Error;
use kube::client::Body;
use kube::core::Status;
use kube::core::response::StatusDetails;

const LARGEST: usize = 64 << 10;

/// The delay in seconds. A date in the header is ignored, because it depends on this machine's clock.
pub fn seconds(headers: &HeaderMap) -> Option<u32> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok()
}

/// Turns the response into an error that carries the delay.
pub async fn error(response: Response<Body>, seconds: u32) -> Error {
    let code = response.status().as_u16();
    let body = Limited::new(response.into_body(), LARGEST).collect().await;
    // A longer body is not an error message.
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
    fn the_delay_is_kept_with_a_text_body_and_with_a_status() {
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
