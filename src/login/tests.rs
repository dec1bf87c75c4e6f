use super::*;

fn options(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = all.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    all.collect()
}

#[test]
fn an_issuer_is_a_plain_https_url() {
    for good in [
        "https://login.example.com",
        "https://login.example.com/",
        "https://login.example.com:8443/realms/mesh",
        "https://127.0.0.1:5556",
        "https://[::1]:5556/dex",
    ] {
        assert_eq!(issuer(good).as_deref(), Ok(good));
    }
    for bad in [
        "",
        "https://",
        "login.example.com",
        "http://login.example.com",
        "http://127.0.0.1:5556",
        "HTTPS://login.example.com",
        "https://user@login.example.com",
        "https://user:pass@login.example.com",
        "https://login.example.com?a=b",
        "https://login.example.com/#a",
        "https://login.example.com/a b",
        "https://login.example.com/../a",
        "https://login.example.com:0",
        "https://login.example.com:99999",
        "https://login.example.com:",
        "https://login.example.com\n",
        "default",
    ] {
        assert!(issuer(bad).is_err(), "{bad}");
    }
}

#[test]
fn only_strategies_for_several_clusters_are_taken() {
    assert_eq!(strategy("openid"), Ok("openid"));
    assert_eq!(strategy("anonymous"), Ok("anonymous"));
    let token = strategy("token").unwrap_err();
    assert!(token.contains("token for home to the remotes"), "{token}");
    for other in ["", "header", "openshift", "OpenID"] {
        assert!(strategy(other).is_err(), "{other}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let login = [
        (AUTH, OPENID),
        (ISSUER, "https://login.example.com"),
        (CLIENT_ID, "kiali"),
    ];
    assert_eq!(check(&options(&login), false), Ok(()));
    assert_eq!(check(&options(&[]), true), Ok(()));
    assert_eq!(
        check(&options(&login[..2]), false).unwrap_err(),
        "--auth openid needs --oidc-client-id"
    );
    assert_eq!(
        check(&options(&login[1..]), false).unwrap_err(),
        "--oidc-issuer goes with --auth openid"
    );
    let writing = check(&options(&login), true).unwrap_err();
    assert!(writing.starts_with("--allow-write has no effect with --auth openid"));
    let with_rbac = [&login[..], &[(RBAC, "true")]].concat();
    assert_eq!(check(&options(&with_rbac), true), Ok(()));
}

#[test]
fn a_login_needs_all_its_options() {
    let login = [
        (AUTH, OPENID),
        (ISSUER, "https://login.example.com"),
        (CLIENT_ID, "kiali"),
    ];
    let whole = Login::of(&options(&login)).unwrap();
    assert_eq!((whole.client_id.as_str(), whole.rbac), ("kiali", false));
    for missing in 0..3 {
        let mut some = login.to_vec();
        some.remove(missing);
        assert!(Login::of(&options(&some)).is_none(), "{some:?}");
    }
}
