//! Where a Prometheus is scraped that somebody else runs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `HOST:PORT`; an IPv6 address has its brackets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Address(String);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Address, String> {
        let (host, port) = text.rsplit_once(':').unwrap_or_default();
        match is_host(host) && is_port(port) {
            true => Ok(Address(text)),
            false => Err(format!(
                "\"{text}\" is not HOST:PORT, like prometheus.example.com:9090 or [fd00::1]:9090"
            )),
        }
    }
}

/// What the user wants scraped in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Prometheus {
    /// One that an install makes, whatever was scraped before.
    Ours,
    At(Address),
}

impl TryFrom<String> for Prometheus {
    type Error = String;

    fn try_from(text: String) -> Result<Prometheus, String> {
        match text.as_str() {
            "default" => Ok(Prometheus::Ours),
            _ => Address::try_from(text).map(Prometheus::At),
        }
    }
}

pub fn is_port(port: &str) -> bool {
    let digits = port.chars().all(|c| c.is_ascii_digit()) && !port.starts_with('0');
    digits && port.parse::<u16>().is_ok()
}

pub fn is_host(host: &str) -> bool {
    let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if let Some(inside) = inside {
        let known = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
        return !inside.is_empty() && inside.chars().all(known);
    }
    let outer = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| outer(c) || c == '-' || c == '.';
    host.chars().all(inner) && host.starts_with(outer) && host.ends_with(outer)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["10.0.0.1:9090", "a:1", "p.example.com:65535", "[::1]:9090"] {
            assert_eq!(Address::try_from(good.to_string()).unwrap().0, good);
        }
        for bad in [
            "",
            ":1",
            "a",
            "a:",
            "a:0",
            "a:+1",
            "a:65536",
            "http://a:1",
            "-a:1",
            "[]:1",
        ] {
            assert!(Address::try_from(bad.to_string()).is_err(), "{bad}");
        }
    }
}
