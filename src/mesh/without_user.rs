//! Addresses of servers without `user:password@`, which some kubeconfigs have: it is taken off where
//! an address is shown, or given to somebody else.

/// Of one that is not well-formed all before its last `@` goes: a password may have any character.
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
    fn a_password_goes_from_an_address_however_it_is_written() {
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
