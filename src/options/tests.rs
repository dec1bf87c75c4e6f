use super::*;

fn asked(options: &[(&str, &str)]) -> Asked {
    let words = options.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    words.collect()
}

#[test]
fn options_are_kept_until_they_are_set_to_default() {
    let first = asked(&[("registry", "r.b"), ("image.kiali", "a/b:1")]);
    let first = Options::default().with(&first);
    assert_eq!(first.flags(), "--image kiali=a/b:1 --registry r.b");
    let second = first.with(&asked(&[
        ("image.kiali", "default"),
        ("image.prometheus", "p:2"),
    ]));
    assert_eq!(second.flags(), "--image prometheus=p:2 --registry r.b");
    assert_eq!(
        first.changes(&second),
        [
            "--image kiali=a/b:1 -> default",
            "--image prometheus=default -> p:2",
        ]
    );
    assert!(
        second
            .with(&asked(&[
                ("image.prometheus", "default"),
                ("registry", "default")
            ]))
            .is_default()
    );
}

#[test]
fn writing_is_allowed_until_it_is_set_to_false() {
    let first = Options::default().with(&asked(&[(ALLOW_WRITE, ON)]));
    assert!(first.allow_write());
    assert_eq!(first.flags(), "--allow-write");
    assert_eq!(first.flags_back(), "--allow-write=false");
    let second = first.with(&asked(&[(ALLOW_WRITE, DEFAULT)]));
    assert!(!second.allow_write());
    assert_eq!(first.changes(&second), ["--allow-write=true -> false"]);
    assert_eq!(second.changes(&first), ["--allow-write=false -> true"]);
}

#[test]
fn a_login_is_kept_until_it_is_set_to_anonymous() {
    let login = [
        (AUTH, "openid"),
        (ISSUER, "https://login.example.com"),
        (CLIENT_ID, "kiali"),
        (RBAC, ON),
    ];
    let first = Options::default().choose(&asked(&login)).unwrap();
    let flags =
        "--auth openid --oidc-client-id kiali --oidc-issuer https://login.example.com --oidc-rbac";
    assert_eq!(first.flags(), flags);
    assert!(first.settings().login.is_some());
    let lost = first.narrowing_but(&Options::default(), &Asked::new());
    assert_eq!(lost.flags(), "--auth openid --oidc-rbac");
    let moved = first.with(&asked(&[(ISSUER, "https://evil.example.com")]));
    let deciding = moved.deciding_but(&first, &Asked::new());
    assert_eq!(deciding.flags(), "--oidc-issuer https://evil.example.com");
    let second = first.choose(&asked(&[(AUTH, DEFAULT)])).unwrap();
    assert!(second.is_default());
    assert_eq!(
        first.changes(&second),
        [
            "--auth openid -> anonymous",
            "--oidc-client-id kiali -> default",
            "--oidc-issuer https://login.example.com -> default",
            "--oidc-rbac=true -> false",
        ]
    );
    let reset = "--auth anonymous --oidc-client-id default --oidc-issuer default --oidc-rbac=false";
    assert_eq!(first.flags_back(), reset);
    assert!(first.choose(&asked(&[(CLIENT_ID, DEFAULT)])).is_err());
}

#[test]
fn a_claim_is_kept_until_it_is_set_to_default() {
    let history = [
        (STORAGE, "20Gi"),
        (STORAGE_CLASS, "fast"),
        (RETENTION, "30d"),
    ];
    let first = Options::default().choose(&asked(&history)).unwrap();
    assert_eq!(
        first.flags(),
        "--retention 30d --storage 20Gi --storage-class fast"
    );
    let lost = first.narrowing_but(&Options::default(), &Asked::new());
    assert_eq!(lost.flags(), "--retention 30d --storage 20Gi");
    let second = first.choose(&asked(&[(STORAGE, DEFAULT)])).unwrap();
    assert_eq!(second.flags(), "--retention 30d");
    assert_eq!(second.settings().history.storage, None);
    let class = Options::default().choose(&asked(&history[1..2]));
    assert_eq!(class.unwrap_err(), "--storage-class goes with --storage");
}

#[test]
fn the_ca_of_a_store_goes_with_its_host_and_with_https() {
    let ca = store::ca::tests::value();
    let https = [
        (STORE, "prometheus=https://a.example.com"),
        (store::CA, &ca),
    ];
    let first = Options::default().choose(&asked(&https)).unwrap();
    assert!(first.settings().store.unwrap().ca.is_some());
    let store = "--store 'prometheus=https://a.example.com'";
    assert_eq!(first.flags(), format!("{store} --store-ca FILE"));
    let mark = store::ca::fingerprint(&ca);
    assert_eq!(first.shown(), format!("{store} --store-ca {mark}"));
    let moved = first.choose(&asked(&[(store::STORE_URL, "https://b.example.com")]));
    assert_eq!(moved.unwrap().get(store::CA), None);
    let path = first.choose(&asked(&[(store::STORE_URL, "https://a.example.com/p")]));
    assert!(path.unwrap().get(store::CA).is_some());
    let none = first.choose(&asked(&[(STORE, DEFAULT)])).unwrap();
    assert_eq!(
        first.changes(&none),
        [
            "--store prometheus=https://a.example.com -> none".to_string(),
            format!("--store-ca {mark} -> default"),
        ]
    );
    let plain = [(STORE, "prometheus=http://a.example.com"), (store::CA, &ca)];
    let refused = Options::default().choose(&asked(&plain)).unwrap_err();
    assert!(refused.contains("begins with https://"), "{refused}");
    let alone = Options::default().choose(&asked(&https[1..])).unwrap_err();
    assert!(alone.starts_with("--store-ca goes with --store"), "{alone}");
    // What others wrote into a record is parsed like a file.
    let bad = Options::default().choose(&asked(&[https[0], (store::CA, "AAAA")]));
    assert!(bad.is_err());
}

#[test]
fn options_of_a_record_are_validated_like_flags() {
    let read = |name: &str, value: &str| {
        let text = serde_json::json!({"version": 1, "values": {name: value}});
        serde_json::from_value::<Options>(text)
    };
    assert!(read("registry", "r.example.com:5000/mirror").is_ok());
    assert!(read("image.kiali", "r.example.com/kiali:v2").is_ok());
    assert!(read("gateway-annotation.example.com/a", "b").is_ok());
    for (name, value) in [
        ("registry", "mirror"),
        ("registry", "r.example.com\n"),
        ("registry", "default"),
        ("image.kiali", "a b:1"),
        ("image.kiali", "evil"),
        ("image.kiali-operator", "a:1\n- command: [id]"),
        ("image.prometheus", ""),
        ("allow-write", "false"),
        ("allow-write", "default"),
        ("window", "\u{1b}[2J"),
        ("win\u{1b}dow", "6h"),
        ("window", &"x".repeat(valid::LONGEST + 1)),
        ("gateway-source-range", "0.0.0.0/0"),
        ("gateway-source-range", "10.0.0.0/8]\n"),
        ("gateway-internal", "evil"),
        ("token-lifetime", "1m"),
        ("token-lifetime", "default"),
        (
            "gateway-annotation.networking.istio.io/service-type",
            "ClusterIP",
        ),
        ("gateway-annotation.a b", "c"),
        ("auth", "anonymous"),
        ("auth", "token"),
        ("oidc-issuer", "http://login.example.com"),
        ("oidc-client-id", "a b"),
        ("oidc-rbac", "false"),
        ("storage", "20"),
        ("storage", "default"),
        ("storage-class", "a b"),
        ("retention", "0d"),
    ] {
        assert!(read(name, value).is_err(), "{name} {value:?}");
    }
    let many = (0..513).map(|i| (format!("o{i}"), "1".to_string()));
    let many = serde_json::json!({"version": 1, "values": many.collect::<Asked>()});
    assert!(serde_json::from_value::<Options>(many).is_err());
}

#[test]
fn an_option_of_a_later_version_is_kept_and_a_later_format_is_noticed() {
    let text = r#"{"version":1,"values":{"window":"6h"}}"#;
    let options: Options = serde_json::from_str(text).unwrap();
    assert!(options.is_known());
    assert_eq!(serde_json::to_string(&options).unwrap(), text);
    let later: Options = serde_json::from_str(r#"{"version":2,"values":{}}"#).unwrap();
    assert!(!later.is_known());
}
