//! Passing an HTTP request on to a pod, streaming both ways.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What a request may take to connect; everything is on this machine.
const CONNECT: Duration = Duration::from_secs(5);

/// The request's URI must be path and query only. An error means that nobody answered.
pub async fn forward(to: SocketAddr, request: Request) -> Result<Response, String> {
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(to))
        .await
        .map_err(|_| "connection timeout".to_owned())?
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // It ends with the answer's body, or with the client that reads it.
    tokio::spawn(connection);
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    Ok(answer.map(Body::new))
}
