//! Answers whose body does not come as the server sent it.

use std::future::pending;
use std::io;
use std::time::Duration;

use anyhow::Result;
use axum::body::{Body, Bytes};
use axum::response::Response;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;

/// Half of it, and then the connection breaks.
pub(super) async fn cut(response: Response) -> Result<Response> {
    let (head, body) = response.into_parts();
    let whole = body.collect().await?.to_bytes();
    let half = whole.slice(..whole.len() / 2);
    let broken = Err::<Bytes, _>(io::Error::other("cut"));
    let body = Body::from_stream(stream::iter([Ok(half), broken]));
    Ok(Response::from_parts(head, body))
}

/// A stream that ends in good order after `time`.
pub(super) fn ended(response: Response, time: Duration) -> Response {
    let (head, body) = response.into_parts();
    let end = Box::pin(tokio::time::sleep(time));
    let body = Body::from_stream(body.into_data_stream().take_until(end));
    Response::from_parts(head, body)
}

/// Nothing, and no end.
pub(super) fn starved(response: Response) -> Response {
    let (head, _) = response.into_parts();
    let nothing = stream::once(pending::<io::Result<Bytes>>());
    Response::from_parts(head, Body::from_stream(nothing))
}
