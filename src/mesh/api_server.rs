//! The API server address that Kiali gets, together with a token that never expires. Only https with a
//! host, and an optional port and path, is accepted.

use std::fmt;

use serde::Deserialize;

use super::address::{is_host, is_port};

/// `https://HOST[:PORT][/PATH]` without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ApiServer(String);

/// Longer input is not an address.
const LONGEST: usize = 2048;
const FORM: &str = "the address must be https://HOST[:PORT][/PATH]";

impl TryFrom<String> for ApiServer {
    type Error = String;

    /// The error never repeats the text, which may contain a password.
    fn try_from(text: String) -> Result<ApiServer, String> {
        match fault(&text) {
            None => Ok(ApiServer(text.trim_end_matches('/').into())),
            Some(fault) => Err(format!("{FORM}: {fault}")),
        }
    }
}

/// Why the text is not such an address.
fn fault(text: &str) -> Option<&'static str> {
    let Some(rest) = text.strip_prefix("https://") else {
        return Some("it must start with https://, because a token is sent to it");
    };
    if text.len() > LONGEST {
        return Some("it is too long");
    }
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, path),
        None => (rest, ""),
    };
    if rest.contains(['?', '#']) {
        return Some("it has a query or a fragment");
    }
    if authority.contains('@') {
        return Some("it has a user or a password");
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon is part of an IPv6 address.
        Some(_) if authority.ends_with(']') => (authority, None),
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if !is_host(host) {
        return Some("its host is neither a name nor an IP address");
    }
    if port.is_some_and(|port| !is_port(port)) {
        return Some("its port is not a number from 1 to 65535");
    }
    let known = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:%/".contains(c);
    (!path.chars().all(known)).then_some("its path has an invalid character")
}

impl ApiServer {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        ApiServer::try_from(text.to_string()).map(|address| address.0)
    }

    #[test]
    fn an_address_is_https_a_host_a_port_and_a_path() {
        for good in [
            "https://10.0.0.2:6443",
            "https://api.example.com",
            "https://[fd00::1]:6443",
            "https://[fd00::1]",
            "https://rancher.example.com/k8s/clusters/c-m-x7",
        ] {
            assert_eq!(read(good).unwrap(), good);
        }
        assert_eq!(read("https://h:1/").unwrap(), "https://h:1");
    }

    #[test]
    fn other_addresses_are_rejected_without_repeating_a_password() {
        for (bad, why) in [
            ("", "https"),
            ("10.0.0.2:6443", "https"),
            ("http://10.0.0.2:6443", "https"),
            ("HTTPS://h", "https"),
            ("https://", "host"),
            ("https://:6443", "host"),
            ("https://a b", "host"),
            ("https://a\nb", "host"),
            ("https://h\\x", "host"),
            ("https://h:0", "port"),
            ("https://h:", "port"),
            ("https://h:65536", "port"),
            ("https://h:1?x=s3cret", "query"),
            ("https://h:1/#s3cret", "fragment"),
            ("https://user:s3cret@h:1", "password"),
            ("https://s3cret@h", "user"),
            ("https://h/a b", "path"),
            ("https://h/\u{1b}]0;x", "path"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(why), "{bad:?}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert!(read(&format!("https://h/{}", "a".repeat(3000))).is_err());
    }
}
