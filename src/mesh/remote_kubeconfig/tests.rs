use super::*;

const GOOD: &str = "\
apiVersion: v1
kind: Config
clusters:
- name: cluster2
  cluster: {server: 'https://10.0.0.2:6443'}
users:
- name: cluster2
  user: {token: s3cret}
contexts:
- name: cluster2
  context: {cluster: cluster2, user: cluster2}
current-context: cluster2
";

fn read(text: &str) -> Result<RemoteKubeconfig, String> {
    RemoteKubeconfig::read(text.as_bytes())
}

#[test]
fn the_four_supported_fields_are_read() {
    let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let whole = format!(
        "{{certificate-authority-data: {}, tls-server-name: api.example.com, server",
        STANDARD.encode(pem)
    );
    let whole = read(&GOOD.replace("{server", &whole)).unwrap();
    assert_eq!(whole.server.as_str(), "https://10.0.0.2:6443");
    assert_eq!(whole.ca.as_deref(), Some(&[vec![0x30, 0]][..]));
    assert_eq!(whole.tls_server_name.as_deref(), Some("api.example.com"));
    assert_eq!(whole.token.expose_secret(), "s3cret");
    assert!(!format!("{whole:?}").contains("s3cret"));
    assert!(read(GOOD).unwrap().ca.is_none());
    assert!(read(&GOOD.replace("kind: Config", "preferences: {}")).is_ok());
}

#[test]
fn any_other_field_is_rejected_by_name() {
    for (field, at) in [
        ("exec", "token: s3cret, exec: {command: id}"),
        ("auth-provider", "token: s3cret, auth-provider: {name: gcp}"),
        ("tokenFile", "tokenFile: /etc/passwd"),
        ("username", "token: s3cret, username: a"),
        ("password", "token: s3cret, password: a"),
        ("as", "token: s3cret, as: system:admin"),
        ("as-groups", "token: s3cret, as-groups: [system:masters]"),
        (
            "client-certificate",
            "token: s3cret, client-certificate: /a",
        ),
        (
            "client-certificate-data",
            "token: s3cret, client-certificate-data: YQ==",
        ),
        ("client-key", "token: s3cret, client-key: /a"),
        ("client-key-data", "token: s3cret, client-key-data: YQ=="),
        ("extensions", "token: s3cret, extensions: []"),
    ] {
        let error = read(&GOOD.replace("token: s3cret", at)).unwrap_err();
        assert_eq!(error, format!("it has \"{field}\"; {TAKEN}"));
    }
    for (field, value) in [
        ("certificate-authority", "/etc/passwd"),
        ("insecure-skip-tls-verify", "true"),
        ("proxy-url", "http://127.0.0.1:1"),
        ("disable-compression", "true"),
        ("extensions", "[]"),
    ] {
        let error = read(&GOOD.replace("{server", &format!("{{{field}: '{value}', server")));
        assert_eq!(error.unwrap_err(), format!("it has \"{field}\"; {TAKEN}"));
    }
    let error = read(&GOOD.replace("user: cluster2}", "user: cluster2, namespace: a}"));
    assert_eq!(error.unwrap_err(), format!("it has \"namespace\"; {TAKEN}"));
    let error = read(&format!("{GOOD}preferences: {{colors: true}}\n"));
    assert_eq!(error.unwrap_err(), format!("it has \"colors\"; {TAKEN}"));
}

#[test]
fn an_invalid_kubeconfig_is_rejected_without_quoting_it() {
    let second = |list: &str, entry: &str| GOOD.replace(list, &format!("{list}\n{entry}"));
    let user = "- {name: b, user: {token: s3cret2}}";
    for text in [
        String::new(),
        "s3cret".into(),
        "[s3cret]".into(),
        "users: s3cret".into(),
        GOOD.replace("kind: Config", "kind: s3cret"),
        GOOD.replace("apiVersion: v1", "apiVersion: v2"),
        GOOD.replace("token: s3cret", "token: [s3cret]"),
        GOOD.replace("token: s3cret", "token: null"),
        GOOD.replace("token: s3cret", "token: ''"),
        GOOD.replace("token: s3cret", "token: \"s3cret\\n\""),
        GOOD.replace("token: s3cret", "token: \"s3cret\\r\\nX-A: b\""),
        GOOD.replace("token: s3cret", "token: \"s3cr\u{e9}t\""),
        GOOD.replace("token: s3cret", "token: \"s3cret\\0\""),
        GOOD.replace(
            "token: s3cret",
            &format!("token: s3cret{}", "a".repeat(20_000)),
        ),
        GOOD.replace("token: s3cret", "token: s3cret, token: s3cret"),
        GOOD.replace("user: {token: s3cret}", "user: null"),
        GOOD.replace("https://", "http://"),
        GOOD.replace("https://", "https://user:s3cret@"),
        GOOD.replace("{server", "{tls-server-name: 'a b', server"),
        GOOD.replace("{server", "{tls-server-name: '', server"),
        GOOD.replace("{server", "{certificate-authority-data: s3cret, server"),
        GOOD.replace("{server", "{certificate-authority-data: c2VjcmV0, server"),
        GOOD.replace("current-context: cluster2", "current-context: other"),
        GOOD.replace("user: cluster2}", "user: other}"),
        second("users:", user),
        second("clusters:", "- {name: b, cluster: {server: 'https://h'}}"),
        second(
            "contexts:",
            "- {name: b, context: {cluster: cluster2, user: cluster2}}",
        ),
        format!("{GOOD}---\n{GOOD}"),
        format!("{GOOD}{}", "#".repeat(LARGEST)),
        "a: &a [s3cret]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: [*c,*c]\n".into(),
        "[".repeat(10_000),
    ] {
        let error = read(&text).unwrap_err();
        assert!(!error.contains("s3cr"), "{text}: {error}");
        assert!(error.lines().count() == 1 && error.len() < 200, "{error}");
    }
    for name in ["Token", "s3cret", "api-version", "Server"] {
        let error = read(&GOOD.replace("token: s3cret", &format!("{name}: a"))).unwrap_err();
        let said = "it has an unknown field";
        assert_eq!(error, format!("{said}; {TAKEN}"));
    }
    let odd = GOOD.replace("token: s3cret", "\"a\\u001b\\n]0;\": 1, token: s3cret");
    let error = read(&odd).unwrap_err();
    assert!(!error.contains(char::is_control), "{error:?}");
}

#[test]
fn whatever_a_secret_holds_is_read_or_refused() {
    let json = r#"{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "a", "cluster":
        {"server": "https://10.0.0.2:6443", "tls-server-name": "kubernetes"}}], "users": [{"name": "a",
        "user": {"token": "abc"}}], "contexts": [{"name": "a", "context": {"cluster": "a", "user":
        "a"}}], "current-context": "a"}"#;
    crate::fuzz::fuzz("kubeconfigs from Secrets", &[GOOD, json], |input| {
        match RemoteKubeconfig::read(input) {
            Ok(config) => {
                assert!(config.server.as_str().starts_with("https://"));
                let token = config.token.expose_secret();
                assert!(HeaderValue::from_str(token).is_ok(), "{token:?}");
            }
            Err(error) => {
                let plain = error.len() < 400 && !error.contains(char::is_control);
                assert!(plain && !error.contains("s3cret"), "{error:?}");
            }
        }
    });
}
