//! Forwards an HTTP request to a pod, streaming in both directions.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Timeout for connections, which are all local.
const CONNECT: Duration = Duration::from_secs(5);

/// Forwards a request whose URI has only a path and a query. An error means that nobody answered.
pub async fn forward(to: SocketAddr, request: Request) -> Result<Response, String> {
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(to))
        .await
        .map_err(|_| "connection timeout".to_owned())?
        .map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    // This task ends with the body of the answer, or when the client stops reading it.
    tokio::spawn(connection);
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    Ok(answer.map(Body::new))
}
