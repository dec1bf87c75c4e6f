//! The proxy for an API server: the kubeconfig's `proxy-url`, else the environment's by Go's rules, so that
//! ambikiali takes the same route as kubectl.

use std::env;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;
use ipnet::IpNet;
use tower::BoxError;

use super::server::without_user;
use crate::problem::root_cause;

/// The connection failed at the proxy, before it reached the API server.
#[derive(Debug, thiserror::Error)]
#[error("{}", refusal(.0))]
pub struct ProxyError(#[source] pub BoxError);

/// The errors of the proxy connectors have no public type, so their text tells them apart.
fn refusal(error: &BoxError) -> String {
    if error.source().is_some() {
        let cause = root_cause(error.as_ref());
        return format!("the connection to the proxy failed: {cause}");
    }
    match error.to_string().as_str() {
        "tunnel error: proxy authorization required" => {
            "the proxy requires a user and a password (407 Proxy Authentication Required)".into()
        }
        "tunnel error: unsuccessful" => "the proxy refuses to connect to it".into(),
        "tunnel error: unexpected end of file" => "the proxy closed the connection".into(),
        "SOCKS error: failed to create underlying connection" => {
            "the connection to the proxy failed".into()
        }
        "SOCKS error: credentials not accepted" => {
            "the proxy refuses the user and the password".into()
        }
        other => {
            let cause = other
                .split_once(" error: ")
                .map_or(other, |(_, cause)| cause);
            format!("the proxy cannot connect to it: {cause}")
        }
    }
}

/// A proxy as messages name it, without a password.
pub fn shown(proxy: &Uri) -> String {
    without_user(&proxy.to_string())
        .trim_end_matches('/')
        .into()
}

/// What to do about a `ProxyError`.
pub fn fix(kubectl: &str) -> String {
    format!(
        "check proxy-url in the kubeconfig, or HTTPS_PROXY and NO_PROXY in the environment: {kubectl} version"
    )
}

/// Parses `proxy-url` as kubectl does. The error never repeats the address, which may contain a password.
pub fn own(url: &str) -> Result<Uri, String> {
    let unusable = "proxy-url must be http://HOST, https://HOST or socks5://HOST";
    let uri: Uri = url.parse().map_err(|_| unusable)?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https" | "socks5"), Some(host)) if !host.is_empty() => Ok(uri),
        _ => Err(unusable.into()),
    }
}

/// The proxy from the environment, for a server without a `proxy-url`.
pub fn of_environment(server: &Uri) -> Result<Option<Uri>, String> {
    let names: [&str; 2] = match server.scheme() == Some(&Scheme::HTTPS) {
        true => ["HTTPS_PROXY", "https_proxy"],
        false => ["HTTP_PROXY", "http_proxy"],
    };
    let Some((name, said)) = first(&names) else {
        return Ok(None);
    };
    let excepted = first(&["NO_PROXY", "no_proxy"]).map_or(String::new(), |(_, list)| list);
    if !Exceptions::parse(&excepted).lets_through(server) {
        return Ok(None);
    }
    match address(&said) {
        Some(uri) => Ok(Some(uri)),
        None => Err(format!(
            "environment variable {name} is not a proxy address"
        )),
    }
}

fn first(names: &[&'static str]) -> Option<(&'static str, String)> {
    let mut set = names
        .iter()
        .filter_map(|name| Some((*name, env::var(name).ok()?)));
    set.find(|(_, value)| !value.is_empty())
}

/// Parses a proxy address; without a scheme, http is assumed.
fn address(said: &str) -> Option<Uri> {
    let sound = |text: &str| {
        let uri: Uri = text.parse().ok()?;
        let known = matches!(uri.scheme_str()?, "http" | "https" | "socks5" | "socks5h");
        (known && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
    };
    sound(said).or_else(|| (!said.contains("://")).then(|| sound(&format!("http://{said}")))?)
}

/// The entries of NO_PROXY. An entry in none of its forms matches nothing.
#[derive(Debug, Default, PartialEq)]
struct Exceptions {
    all: bool,
    networks: Vec<IpNet>,
    addresses: Vec<(IpAddr, Option<String>)>,
    domains: Vec<Domain>,
}

#[derive(Debug, PartialEq)]
struct Domain {
    /// Domain with a leading dot.
    suffix: String,
    port: Option<String>,
    /// Matches the domain itself too, not only its subdomains.
    itself: bool,
}

impl Exceptions {
    fn parse(list: &str) -> Exceptions {
        let mut exceptions = Exceptions::default();
        for entry in list.split(',') {
            let entry = entry.trim().to_lowercase();
            if entry == "*" {
                exceptions.all = true;
            } else if let Ok(network) = entry.parse() {
                exceptions.networks.push(network);
            } else if let Some((host, port)) = parts(&entry) {
                exceptions.add(host, port);
            }
        }
        exceptions
    }

    fn add(&mut self, host: &str, port: Option<&str>) {
        let port = port.filter(|port| !port.is_empty()).map(String::from);
        if let Ok(address) = host.parse::<IpAddr>() {
            self.addresses.push((address.to_canonical(), port));
            return;
        }
        // "*.corp.example" and ".corp.example" both match subdomains only.
        let host = match host.starts_with("*.") {
            true => &host[1..],
            false => host,
        };
        let itself = !host.starts_with('.');
        let suffix = match itself {
            true => format!(".{host}"),
            false => host.into(),
        };
        let domain = Domain {
            suffix,
            port,
            itself,
        };
        self.domains.push(domain);
    }

    /// Whether requests to this server use the proxy. Loopback addresses never do.
    fn lets_through(&self, server: &Uri) -> bool {
        let host = server.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let default = match server.scheme() == Some(&Scheme::HTTPS) {
            true => 443,
            false => 80,
        };
        let port = server.port_u16().unwrap_or(default).to_string();
        let is_port = |said: &Option<String>| said.as_ref().is_none_or(|said| *said == port);
        let address = host.parse::<IpAddr>().ok().map(|a| a.to_canonical());
        if host == "localhost" || address.is_some_and(|a| a.is_loopback()) || self.all {
            return false;
        }
        if let Some(address) = address {
            let network = self
                .networks
                .iter()
                .any(|network| network.contains(&address));
            let mut single = self.addresses.iter();
            if network || single.any(|(a, port)| *a == address && is_port(port)) {
                return false;
            }
        }
        let host = host.to_lowercase();
        !self.domains.iter().any(|domain| {
            let below = host.ends_with(&domain.suffix);
            let itself = domain.itself && Some(host.as_str()) == domain.suffix.get(1..);
            (below || itself) && is_port(&domain.port)
        })
    }
}

/// Host and port of an entry; None without a host.
fn parts(entry: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match entry.split_once(':') {
            // A bare IPv6 address has no port.
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (entry, None),
        },
    };
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(server: &str, list: &str) -> bool {
        Exceptions::parse(list).lets_through(&server.parse().unwrap())
    }

    #[test]
    fn every_form_of_no_proxy_is_read_as_go_reads_it() {
        let api = "https://api.corp.example:6443";
        for (server, list) in [
            ("https://10.20.0.1:6443", "10.0.0.0/8"),
            ("https://10.20.0.1:6443", "192.168.0.0/16, 10.20.0.1"),
            ("https://10.20.0.1:6443", "10.20.0.1:6443"),
            ("https://10.20.0.1", "10.20.0.1:443"),
            ("https://[fd00::1]:6443", "fd00::/8"),
            ("https://[fd00::1]:6443", "[fd00::1]:6443"),
            ("https://[fd00::1]:6443", "fd00::1"),
            (api, "*.corp.example"),
            (api, ".corp.example"),
            (api, "corp.example"),
            (api, "api.corp.example"),
            (api, "api.corp.example:6443"),
            (api, "API.CORP.EXAMPLE"),
            (api, " api.corp.example ,"),
            (api, ",,api.corp.example"),
            (api, "not a matcher,*"),
            ("https://localhost:6443", ""),
            ("https://127.9.9.9:6443", ""),
            ("https://[::1]:6443", ""),
        ] {
            assert!(!through(server, list), "{server} with {list}");
        }
        for (server, list) in [
            (api, ""),
            (api, ","),
            (api, "localhost 127.0.0.1"),
            (api, "api.corp.example:443"),
            (api, "rp.example"),
            (api, "orp.example:6443"),
            (api, ":6443"),
            ("https://corp.example", "*.corp.example"),
            ("https://corp.example", ".corp.example"),
            ("https://10.20.0.1:6443", "10.20.0.1:443"),
            ("https://10.20.0.1:6443", "10.0.0.0/33"),
            ("https://10.20.0.1:6443", "10."),
            ("https://[fd00::1]:6443", "[fd00::1]:443"),
            ("https://0.0.0.0:6443", "127.0.0.0/8"),
            ("https://LOCALHOST:6443", ""),
        ] {
            assert!(through(server, list), "{server} with {list}");
        }
    }

    #[test]
    fn a_proxy_without_a_scheme_is_http_and_an_unknown_scheme_is_rejected() {
        let address = |said: &str| address(said).map(|uri| uri.to_string());
        assert_eq!(address("proxy:3128").as_deref(), Some("http://proxy:3128/"));
        assert_eq!(
            address("10.0.0.1:3128").as_deref(),
            Some("http://10.0.0.1:3128/")
        );
        assert_eq!(
            address("socks5://proxy:1080").as_deref(),
            Some("socks5://proxy:1080/")
        );
        assert_eq!(address("ftp://proxy:21"), None);
        assert_eq!(address("a b"), None);
    }

    #[test]
    fn proxy_url_takes_the_schemes_that_kubectl_takes() {
        for url in ["http://p:1", "https://p:1", "socks5://127.0.0.1:1080"] {
            assert!(own(url).is_ok(), "{url}");
        }
        for url in [
            "p:1",
            "socks5h://p:1",
            "ftp://p",
            "http://",
            "s3cret s3cret",
        ] {
            let error = own(url).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
