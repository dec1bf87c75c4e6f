//! The proxy's connections and the requests on them.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, DATE, UPGRADE, USER_AGENT};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Action, Answer, Shared, Verb, body};

/// Accepts connections. They are closed when the proxy stops.
pub(super) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(connection(stream, acceptor.clone(), shared.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection. Its errors are ignored: they only mean that one side closed the connection.
async fn connection(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let shared = shared.clone();
        async move { handle(&shared, request.map(Body::new)).await }
    });
    let server = hyper::server::conn::http1::Builder::new();
    let _ = server
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

/// Handles one request. An error closes the connection without an answer.
async fn handle(shared: &Arc<Shared>, request: Request) -> Result<Response> {
    let agent = request.headers().get(USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    match agent {
        Some(agent) if agent.starts_with(&shared.agent) => {
            let uri = request.uri().to_string();
            let visit = shared.arrival(verb(&request), request.method().as_str(), &uri);
            let response = answer(shared, request, visit.action.clone()).await?;
            visit.answered(response.status().as_u16());
            Ok(response)
        }
        _ => forward(shared, request).await,
    }
}

async fn answer(
    shared: &Arc<Shared>,
    request: Request,
    action: Option<Action>,
) -> Result<Response> {
    let Some(action) = action else {
        return forward(shared, request).await;
    };
    match action {
        Action::Answer(answer) => Ok(answer.response()),
        Action::Drop => bail!("dropped"),
        Action::Silence => Ok(pending::<Result<Response, Infallible>>().await?),
        Action::SilenceAfter => {
            whole(shared, request).await?;
            Ok(pending::<Result<Response, Infallible>>().await?)
        }
        Action::Delay(time) => {
            tokio::time::sleep(time).await;
            forward(shared, request).await
        }
        Action::Hold(gate) => {
            gate.opened().await;
            forward(shared, request).await
        }
        Action::Halt(gate) => {
            gate.open();
            Ok(pending::<Result<Response, Infallible>>().await?)
        }
        Action::HaltAfter(gate) => {
            whole(shared, request).await?;
            gate.open();
            Ok(pending::<Result<Response, Infallible>>().await?)
        }
        Action::AnswerAfter(answer) => {
            whole(shared, request).await?;
            Ok(answer.response())
        }
        Action::DropAfter => {
            whole(shared, request).await?;
            bail!("dropped after it was done")
        }
        Action::UnknownToken if request.headers().contains_key(AUTHORIZATION) => {
            Ok(Answer::status(401, "Unauthorized", "Unauthorized", None).response())
        }
        Action::UnknownToken => forward(shared, request).await,
        Action::Ahead(time) => {
            let mut response = forward(shared, request).await?;
            let date = (Timestamp::now() + time).strftime("%a, %d %b %Y %H:%M:%S GMT");
            let date = HeaderValue::from_str(&date.to_string())?;
            response.headers_mut().insert(DATE, date);
            Ok(response)
        }
        Action::CutBody => body::cut(forward(shared, request).await?).await,
        Action::EndAfter(time) => Ok(body::ended(forward(shared, request).await?, time)),
        Action::Flood(flood) => Ok(body::flood(flood)),
        Action::HalfOpen => Ok(body::starved(forward(shared, request).await?)),
    }
}

fn verb(request: &Request) -> Verb {
    let query = request.uri().query().unwrap_or_default();
    let watched = query
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1"));
    let rehearsed = query.split('&').any(|pair| pair == "dryRun=All");
    match *request.method() {
        _ if request.headers().contains_key(UPGRADE) => Verb::Stream,
        _ if rehearsed => Verb::Read,
        Method::GET if watched => Verb::Watch,
        Method::GET | Method::HEAD | Method::OPTIONS => Verb::Read,
        Method::DELETE => Verb::Delete,
        _ => Verb::Write,
    }
}

/// Forwards the request and waits for the complete answer.
async fn whole(shared: &Arc<Shared>, request: Request) -> Result<()> {
    let response = forward(shared, request).await?;
    http_body_util::BodyExt::collect(response.into_body()).await?;
    Ok(())
}

/// Forwards the request and streams in both directions, also after a protocol upgrade.
async fn forward(shared: &Arc<Shared>, mut request: Request) -> Result<Response> {
    // Only the proxy checks passwords. The API server knows none.
    let given = request.headers().get(AUTHORIZATION);
    let as_admin = !given.is_some_and(|given| given.as_bytes().starts_with(b"Bearer "));
    if as_admin {
        request.headers_mut().remove(AUTHORIZATION);
    }
    let stream = shared.upstream.connect(as_admin).await;
    let stream = stream.context("the API server is not there")?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // This task ends with the body of the answer, or when the program stops reading it.
    tokio::spawn(connection.with_upgrades());
    let theirs = hyper::upgrade::on(&mut request);
    let mut response = sender.send_request(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let ours = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (theirs, ours) = tokio::try_join!(theirs, ours)?;
            let (mut theirs, mut ours) = (TokioIo::new(theirs), TokioIo::new(ours));
            // The exec or port-forward ends here, cleanly or with an error.
            let _ = tokio::io::copy_bidirectional(&mut theirs, &mut ours).await;
            anyhow::Ok(())
        });
    }
    Ok(response.map(Body::new))
}
