//! One connection of a browser, whose requests are checked before they are forwarded. Any web page can resolve its own
//! name to 127.0.0.1 and would then read the responses of Kiali, so only the names of this machine are accepted. Other
//! pages may link here but not embed Kiali. Browsers share cookies between all ports of a host, so only Kiali's
//! cookies are forwarded. Everything else in a request is left to Kiali.

use std::convert::Infallible;

use anyhow::Result;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

type Body = Either<Incoming, Full<Bytes>>;
/// The connection to Kiali, and its upgrades to other protocols.
type Way = Mutex<(SendRequest<Incoming>, JoinSet<()>)>;

/// Serves the connection until either end closes it.
pub async fn serve(
    local: TcpStream,
    port: u16,
    kiali: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<()> {
    let (sender, connection) = client::handshake(TokioIo::new(kiali)).await?;
    // The sender notices its end; tasks of a set end with the set.
    let mut open = JoinSet::new();
    open.spawn(async move { drop(connection.with_upgrades().await) });
    let way = Mutex::new((sender, JoinSet::new()));
    let service = service_fn(|request| answer(&way, request, port));
    // Ignore browsers that close early or do not send HTTP.
    let _ = server::Builder::new()
        .serve_connection(TokioIo::new(local), service)
        .with_upgrades()
        .await;
    // An upgraded connection continues in its own task.
    let (_, mut switched) = way.into_inner();
    while switched.join_next().await.is_some() {}
    Ok(())
}

async fn answer(
    way: &Way,
    request: Request<Incoming>,
    port: u16,
) -> Result<Response<Body>, Infallible> {
    if !is_local(request.headers(), request.uri(), port) {
        let text = format!("This port serves only http://localhost:{port}.\n");
        return Ok(said(StatusCode::MISDIRECTED_REQUEST, text));
    }
    if !is_own(request.headers(), port) || is_part_of_another(request.headers()) {
        let text = "This port accepts requests only from its own pages.\n".into();
        return Ok(said(StatusCode::FORBIDDEN, text));
    }
    let answer = passed_on(way, request).await;
    Ok(answer.unwrap_or_else(|error| {
        let text = format!("Kiali does not answer: {error:#}\n");
        let mut lost = said(StatusCode::BAD_GATEWAY, text);
        // The next request opens a new connection.
        let close = HeaderValue::from_static("close");
        lost.headers_mut().insert(CONNECTION, close);
        lost
    }))
}

fn said(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// Whether a host is a name of this machine with this port.
fn is_here(host: &str, port: u16) -> bool {
    let names = ["localhost", "127.0.0.1", "[::1]"];
    let mut all = names.iter().map(|name| format!("{name}:{port}"));
    all.any(|name| host.eq_ignore_ascii_case(&name))
}

/// Whether the request has exactly one such host.
fn is_local(headers: &HeaderMap, uri: &Uri, port: u16) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let known = |host: &str| is_here(host, port);
    let named = uri.authority().is_none_or(|host| known(host.as_str()));
    named && host.to_str().is_ok_and(known)
}

/// Whether the request does not come from another page. A browser sends writes and WebSockets of a page to any host,
/// with the origin of the page. Links have no origin.
fn is_own(headers: &HeaderMap, port: u16) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    origins.all(|origin| {
        let host = origin.to_str().ok().and_then(|o| o.strip_prefix("http://"));
        host.is_some_and(|host| is_here(host, port))
    })
}

/// Whether another page would embed the response, for example in a frame for clickjacking, as the browser tells. A link
/// opens a new page. Service workers are refused too, because they would stay for later programs on this port.
fn is_part_of_another(headers: &HeaderMap) -> bool {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let stays = headers.contains_key("service-worker");
    let is_link =
        said("sec-fetch-mode") == Some("navigate") && said("sec-fetch-dest") == Some("document");
    let from_here = matches!(said("sec-fetch-site"), None | Some("same-origin" | "none"));
    stays || !(from_here || is_link)
}

/// Prefix of all cookies of Kiali.
const OWN_COOKIES: &str = "kiali-";

/// Keeps only Kiali's cookies.
fn keep_own_cookies(headers: &mut HeaderMap) {
    let all = headers.get_all(COOKIE).iter();
    let all = all.filter_map(|value| value.to_str().ok());
    let own = all.flat_map(|value| value.split(';').map(str::trim));
    let own = own.filter(|cookie| cookie.starts_with(OWN_COOKIES));
    let own = own.collect::<Vec<_>>().join("; ");
    headers.remove(COOKIE);
    if let Ok(own) = HeaderValue::from_str(&own)
        && !own.is_empty()
    {
        headers.insert(COOKIE, own);
    }
}

/// Keeps only cookies of Kiali in a response, so that it cannot delete those of others.
fn set_own_cookies(headers: &mut HeaderMap) {
    let all = headers.get_all(SET_COOKIE).iter();
    let is_own = |value: &&HeaderValue| value.as_bytes().starts_with(OWN_COOKIES.as_bytes());
    let own = all.filter(is_own).cloned().collect::<Vec<_>>();
    headers.remove(SET_COOKIE);
    for cookie in own {
        headers.append(SET_COOKIE, cookie);
    }
    headers.remove("clear-site-data");
}

async fn passed_on(way: &Way, mut request: Request<Incoming>) -> Result<Response<Body>> {
    let theirs = hyper::upgrade::on(&mut request);
    keep_own_cookies(request.headers_mut());
    if let Some(path) = request.uri().path_and_query() {
        // A server expects a path, not the URL for a proxy.
        *request.uri_mut() = Uri::from(path.clone());
    }
    let mut way = way.lock().await;
    way.0.ready().await?;
    let mut response = way.0.send_request(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let ours = hyper::upgrade::on(&mut response);
        way.1.spawn(async move {
            if let (Ok(theirs), Ok(ours)) = tokio::join!(theirs, ours) {
                joined(TokioIo::new(theirs), TokioIo::new(ours)).await;
            }
        });
    }
    set_own_cookies(response.headers_mut());
    Ok(response.map(Either::Left))
}

/// Waits until either task ends, because a port-forward does not report the end of the other side.
async fn joined(theirs: TokioIo<Upgraded>, ours: TokioIo<Upgraded>) {
    let (mut from_browser, mut to_browser) = tokio::io::split(theirs);
    let (mut from_kiali, mut to_kiali) = tokio::io::split(ours);
    tokio::select! {
        _ = tokio::io::copy(&mut from_browser, &mut to_kiali) => {}
        _ = tokio::io::copy(&mut from_kiali, &mut to_browser) => {}
    }
}

#[cfg(test)]
mod tests;
