//! Builds a kube client with the same layers as kube's own, on top of our TLS and proxy connectors.

use http::{HeaderValue, Uri};
use hyper::rt::{Read, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt};
use kube::{Client, Config};
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tower::util::MapErr;
use tower::{BoxError, Service, ServiceBuilder};

use super::proxy::ProxyError;
use crate::problem;

pub fn client(config: &Config, tls: ClientConfig) -> Result<Client, String> {
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    let Some(proxy) = config.proxy_url.clone() else {
        return over(direct, config, tls);
    };
    let login = proxy
        .authority()
        .and_then(|a| Some(a.as_str().rsplit_once('@')?.0.to_string()));
    match proxy.scheme_str() {
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(proxy, direct);
            if let Some(login) = login {
                let (user, password) = login.split_once(':').unwrap_or((&login, ""));
                socks = socks.with_auth(decoded(user), decoded(password));
            }
            over(MapErr::new(socks, proxy_error), config, tls)
        }
        // As in Go, the proxy's own certificate is verified with the same CA.
        Some("https") => {
            let tunnel = tunnel(proxy, https(direct, config, tls.clone())?, login);
            over(MapErr::new(tunnel, proxy_error), config, tls)
        }
        _ => over(
            MapErr::new(tunnel(proxy, direct, login), proxy_error),
            config,
            tls,
        ),
    }
}

fn proxy_error(error: impl Into<BoxError>) -> ProxyError {
    ProxyError(error.into())
}

fn tunnel<C>(proxy: Uri, connector: C, login: Option<String>) -> Tunnel<C> {
    use base64::Engine;
    let tunnel = Tunnel::new(proxy, connector);
    let basic = login.and_then(|login| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(decoded(&login));
        HeaderValue::from_str(&format!("Basic {encoded}")).ok()
    });
    match basic {
        Some(basic) => tunnel.with_auth(basic),
        None => tunnel,
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn https<C>(connector: C, config: &Config, tls: ClientConfig) -> Result<HttpsConnector<C>, String> {
    let mut builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = ServerName::try_from(name.clone());
        let name = name.map_err(|_| "tls-server-name is not a valid server name")?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    Ok(builder.enable_http1().wrap_connector(connector))
}

fn over<C>(connector: C, config: &Config, tls: ClientConfig) -> Result<Client, String>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    let mut connector = TimeoutConnector::new(https(connector, config, tls)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    let client: legacy::Client<_, Body> =
        legacy::Builder::new(TokioExecutor::new()).build(connector);
    let text = |error: kube::Error| problem::kube_text(&error);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(text)?)
        .layer(config.extra_headers_layer().map_err(text)?)
        .map_err(BoxError::from)
        .service(client);
    Ok(Client::new(service, config.default_namespace.clone()))
}
