//! The API server address of a kubeconfig. A login in it is removed before the address is shown or passed on.

use http::Uri;
use percent_encoding::percent_decode_str;

/// An address, separate from the login that must never be shown.
#[derive(Debug, PartialEq)]
pub struct Server {
    pub url: Uri,
    /// Login from `https://USER:PASSWORD@HOST`. kubectl uses it instead of all other credentials.
    pub login: Option<(String, String)>,
}

impl Server {
    /// The error never repeats the address, which may contain a password.
    pub fn parse(text: &str) -> Result<Server, String> {
        let unusable = || "its server is not a valid address; use https://HOST:PORT".to_string();
        if !text.contains("://") {
            // kubectl would use plain http without credentials.
            return Err("its server has no scheme; use https://HOST:PORT".into());
        }
        let uri: Uri = text.parse().map_err(|_| unusable())?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) {
            return Err("its server must start with https:// or http://".into());
        }
        let authority = uri.authority().ok_or_else(unusable)?.as_str();
        if uri.host().is_none_or(str::is_empty) {
            return Err(unusable());
        }
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (decoded(user), decoded(password))
        });
        let url = Uri::builder()
            .scheme(uri.scheme_str().unwrap_or("https"))
            .authority(place)
            .path_and_query(uri.path())
            .build()
            .map_err(|_| unusable())?;
        Ok(Server { url, login })
    }

    /// The address as it is shown and passed on.
    pub fn text(&self) -> String {
        self.url.to_string().trim_end_matches('/').into()
    }

    /// Whether credentials may be sent. Like kubectl, ambikiali sends none over plain http.
    pub fn is_private(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Without `user:password@`. In a malformed address, everything before the last `@` is removed, because a
/// password may contain any character.
pub fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let rest = match is_host(host) {
        true => [host, path].concat(),
        false => rest.rsplit('@').next().unwrap_or_default().into(),
    };
    format!("{scheme}{rest}")
}

/// HOST, HOST:PORT or [ADDRESS]:PORT.
fn is_host(text: &str) -> bool {
    let (_, after) = text.rsplit_once(']').unwrap_or(("", text));
    after
        .rsplit_once(':')
        .is_none_or(|(host, port)| !host.contains(':') && port.chars().all(|c| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_parsed_as_in_kubectl_and_shown_without_a_password() {
        for (text, shown) in [
            ("https://api.example:6443", "https://api.example:6443"),
            ("HTTPS://api.example:6443/", "https://api.example:6443"),
            ("https://[fd00::1]:6443", "https://[fd00::1]:6443"),
            (
                "https://api.example/k8s/c-1/",
                "https://api.example/k8s/c-1",
            ),
            ("https://api.example/a?b=c#d", "https://api.example/a"),
            (
                "https://me:s3c%40ret@api.example:1",
                "https://api.example:1",
            ),
        ] {
            assert_eq!(Server::parse(text).unwrap().text(), shown);
        }
        let login = Server::parse("https://me:s3c%40ret@api.example")
            .unwrap()
            .login;
        assert_eq!(login, Some(("me".into(), "s3c@ret".into())));
    }

    #[test]
    fn an_invalid_address_is_rejected_without_repeating_it() {
        for text in [
            "api.example:6443",
            "127.0.0.1:6443",
            "me:s3cret@api.example",
            "ftp://s3cret",
            "https://",
            "https://s3cret s3cret",
            "https:///s3cret",
            "",
        ] {
            let error = Server::parse(text).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_login_is_removed_from_any_form_of_address() {
        for (url, shown) in [
            ("https://a:6443", "https://a:6443"),
            ("https://user:pass@a:6443/x", "https://a:6443/x"),
            ("https://user@a", "https://a"),
            ("https://us@er:p@ss/w@rd@a", "https://ss/w@rd@a"),
            ("https://user:pa/ss@a", "https://a"),
            ("https://user:pa?ss@a:1", "https://a:1"),
            ("https://user:pa#ss@[::1]:1", "https://[::1]:1"),
            ("user:pass@a:6443", "a:6443"),
            ("user:pass@[fd00::1]", "[fd00::1]"),
            (
                "https://a:6443/k8s/clusters/x@y",
                "https://a:6443/k8s/clusters/x@y",
            ),
            ("", ""),
        ] {
            assert_eq!(without_user(url), shown, "{url}");
        }
    }
}
