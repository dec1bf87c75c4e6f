//! The address of an API server as a kubeconfig has it.

use http::Uri;
use percent_encoding::percent_decode_str;

/// An address without what must never be shown.
#[derive(Debug, PartialEq)]
pub struct Server {
    pub url: Uri,
    /// From `https://USER:PASSWORD@HOST`: what kubectl uses in place of all other credentials.
    pub login: Option<(String, String)>,
}

impl Server {
    /// The error has no word of the address: a password may be in it.
    pub fn parse(text: &str) -> Result<Server, String> {
        let unusable = || "its server is no address; write https://HOST:PORT".to_string();
        if !text.contains("://") {
            // kubectl asks such a server in clear text and without credentials.
            return Err("its server has no scheme; write https://HOST:PORT".into());
        }
        let uri: Uri = text.parse().map_err(|_| unusable())?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) {
            return Err("its server is neither https:// nor http://".into());
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

    /// As it is shown and given on.
    pub fn text(&self) -> String {
        self.url.to_string().trim_end_matches('/').into()
    }

    /// kubectl sends no credentials over a connection that everybody can read, and neither do we.
    pub fn is_private(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_kubectl_reads_it_and_shown_without_a_password() {
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
    fn what_is_no_address_is_refused_without_repeating_it() {
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
}
