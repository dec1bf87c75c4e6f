//! Answers whose body is changed on the way.

use std::future::pending;
use std::io;
use std::time::Duration;

use anyhow::Result;
use axum::body::{Body, Bytes};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures::{StreamExt, stream};
use http_body_util::BodyExt;

use super::Flood;

/// Returns half of the body and then breaks the connection.
pub(super) async fn cut(response: Response) -> Result<Response> {
    let (head, body) = response.into_parts();
    let whole = body.collect().await?.to_bytes();
    let half = whole.slice(..whole.len() / 2);
    let broken = Err::<Bytes, _>(io::Error::other("cut"));
    let body = Body::from_stream(stream::iter([Ok(half), broken]));
    Ok(Response::from_parts(head, body))
}

/// Ends the stream cleanly after `time`.
pub(super) fn ended(response: Response, time: Duration) -> Response {
    let (head, body) = response.into_parts();
    let end = Box::pin(tokio::time::sleep(time));
    let body = Body::from_stream(body.into_data_stream().take_until(end));
    Response::from_parts(head, body)
}

/// Returns no data and never ends.
pub(super) fn starved(response: Response) -> Response {
    let (head, _) = response.into_parts();
    let nothing = stream::once(pending::<io::Result<Bytes>>());
    Response::from_parts(head, Body::from_stream(nothing))
}

pub(super) fn flood(flood: Flood) -> Response {
    // Sends small pieces without a pause in batches, because sending each one separately would be slow.
    let batch = match flood.pause.is_zero() {
        true => (64 << 10) / flood.piece.len().max(1) + 1,
        false => 1,
    };
    let pieces = stream::unfold(
        (flood.times, flood.clone()),
        move |(left, flood)| async move {
            let now = left.min(batch);
            if now == 0 {
                return None;
            }
            tokio::time::sleep(flood.pause).await;
            let data = Bytes::from(flood.piece.repeat(now));
            let left = if left == usize::MAX { left } else { left - now };
            Some((data, (left, flood)))
        },
    );
    let (head, tail) = (Bytes::from(flood.head), Bytes::from(flood.tail));
    let whole = stream::iter([head])
        .chain(pieces)
        .chain(stream::iter([tail]));
    let mut response = Response::new(Body::from_stream(whole.map(io::Result::Ok)));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
