//! The proxy between here and an API server: the kubeconfig's own, whatever the server is called, else
//! that of the environment by the rules of Go's programs, so that kubectl and this program go the same way.

use std::env;
use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;
use ipnet::IpNet;

/// As kubectl refuses it; the error has no word of the address, which may hold a password.
pub fn own(url: &str) -> Result<Uri, String> {
    let unusable = "proxy-url is not http://, https:// or socks5:// and a host";
    let uri: Uri = url.parse().map_err(|_| unusable)?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https" | "socks5"), Some(host)) if !host.is_empty() => Ok(uri),
        _ => Err(unusable.into()),
    }
}

/// For a server whose kubeconfig names none.
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
            "{name} in the environment is no address of a proxy"
        )),
    }
}

fn first(names: &[&'static str]) -> Option<(&'static str, String)> {
    let mut set = names
        .iter()
        .filter_map(|name| Some((*name, env::var(name).ok()?)));
    set.find(|(_, value)| !value.is_empty())
}

/// One without a scheme is http.
fn address(said: &str) -> Option<Uri> {
    let sound = |text: &str| {
        let uri: Uri = text.parse().ok()?;
        let known = matches!(uri.scheme_str()?, "http" | "https" | "socks5" | "socks5h");
        (known && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
    };
    sound(said).or_else(|| (!said.contains("://")).then(|| sound(&format!("http://{said}")))?)
}

/// NO_PROXY: what is none of its forms matches nothing.
#[derive(Debug, Default, PartialEq)]
struct Exceptions {
    all: bool,
    networks: Vec<IpNet>,
    addresses: Vec<(IpAddr, Option<String>)>,
    domains: Vec<Domain>,
}

#[derive(Debug, PartialEq)]
struct Domain {
    /// With a dot before it.
    suffix: String,
    port: Option<String>,
    /// Not only what is below it.
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
        // "*.corp.example" is what is below it, as ".corp.example" is.
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

    /// Whether the proxy is used. This machine itself is never asked for through one.
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

/// Host and port; None where there is no host.
fn parts(entry: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match entry
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match entry.split_once(':') {
            // An IPv6 address without brackets has no port.
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
    fn every_form_of_no_proxy_is_what_go_makes_of_it() {
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
    fn a_proxy_without_a_scheme_is_http_and_one_of_another_is_none() {
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
    fn the_kubeconfigs_own_is_of_kubectls_schemes() {
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
