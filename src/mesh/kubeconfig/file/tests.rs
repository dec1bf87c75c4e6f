use secrecy::ExposeSecret;

use super::*;

fn read(text: &str) -> Result<Kubeconfig, String> {
    parse(text.as_bytes())
}

#[test]
fn incomplete_entries_and_nulls_have_defaults() {
    let config = read(
        "
clusters: [{name: one, cluster: {server: 'https://a', certificate-authority: ''}}, {name: half}, null]
contexts:
- {name: half, context: {namespace: x}}
- {context: {cluster: one}}
- {name: one, context: {cluster: one, user: admin, extensions: 3}}
users:
- name: admin
  user:
    exec: {command: p, args: null, env: [{name: A, value: null}], provideClusterInfo: null, interactiveMode: ''}
- {name: odd, user: {exec: {interactiveMode: Sometimes}}}
current-context: null
preferences: {what: [ever]}
",
    )
    .unwrap();
    let cluster = config.clusters[0].cluster.as_ref().unwrap();
    assert_eq!(cluster.server.as_deref(), Some("https://a"));
    assert_eq!(cluster.certificate_authority, None);
    assert_eq!(config.clusters.len(), 3);
    let exec = config.auth_infos[0]
        .auth_info
        .as_ref()
        .unwrap()
        .exec
        .as_ref()
        .unwrap();
    assert_eq!(
        (exec.provide_cluster_info, &exec.interactive_mode),
        (false, &None)
    );
    assert!(read("").unwrap().contexts.is_empty());
    assert!(read("contexts: null\nclusters:\nusers: []").is_ok());
}

#[test]
fn errors_name_the_field_and_never_its_value() {
    for (text, error) in [
        (
            "users: [{name: admin, user: {token: 53617}}]",
            "user \"admin\": token is not text; put it in quotes",
        ),
        (
            "users: [{name: admin, user: {password: true}}]",
            "user \"admin\": password is not text; put it in quotes",
        ),
        (
            "users: [{name: admin, user: {exec: {args: [53617]}}}]",
            "user \"admin\" exec: args is not a list of texts",
        ),
        (
            "users: [{name: admin, user: {exec: {env: [{name: A, value: 53617}]}}}]",
            "user \"admin\" exec env[0]: value is not text; put it in quotes",
        ),
        (
            "users: [{name: admin, user: {client-key-data: 's3cret 53617'}}]",
            "user \"admin\": client-key-data is not base64",
        ),
        (
            "clusters: [{name: one, cluster: {insecure-skip-tls-verify: 's3cret'}}]",
            "cluster \"one\": insecure-skip-tls-verify is not true or false",
        ),
        (
            "clusters: [{name: one, cluster: s3cret}]",
            "clusters[0]: cluster is not a mapping",
        ),
        ("users: s3cret", "users is not a list"),
        ("users: [s3cret]", "users[0] is not a mapping"),
        (
            "users: [{name: [s3cret]}]",
            "users[0]: name is not text; put it in quotes",
        ),
        (
            "users: [{name: a}, {name: a}]",
            "two entries in users have the name \"a\"",
        ),
        (
            "contexts: [{}, {}]",
            "two entries in contexts have the name \"\"",
        ),
        ("s3cret", "not a mapping"),
        ("[s3cret]", "not a mapping"),
        ("kind: s3cret", "kind is not Config"),
        ("apiVersion: v2", "apiVersion is not v1"),
    ] {
        assert_eq!(read(text).unwrap_err(), error, "{text}");
    }
    let error = read("users: [{name: admin, user: {token: s3cret}").unwrap_err();
    assert!(
        error.starts_with("not YAML: ") && !error.contains("s3cret"),
        "{error}"
    );
}

#[test]
fn base64_may_contain_line_breaks() {
    let text = "users: [{name: a, user: {client-key-data: \"AAEC\\r\\nAwQF\\n\"}}]";
    let user = read(text).unwrap().auth_infos.remove(0).auth_info.unwrap();
    assert_eq!(user.client_key_data.unwrap().expose_secret(), "AAECAwQF");
}

#[test]
fn a_byte_order_mark_selects_the_encoding() {
    let text = "contexts: [{name: ümläut}]";
    let wide = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
        let mut all = mark.to_vec();
        all.extend(text.encode_utf16().flat_map(bytes));
        all
    };
    for bytes in [
        text.as_bytes().to_vec(),
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        wide([0xFF, 0xFE], u16::to_le_bytes),
        wide([0xFE, 0xFF], u16::to_be_bytes),
        text.replace('[', "\r\n  [").into_bytes(),
    ] {
        assert_eq!(parse(&bytes).unwrap().contexts[0].name, "ümläut");
    }
    for bytes in [
        &b"\xff\xfea"[..],
        b"\xff\xfe\x00\xd8",
        b"\xff",
        b"\xfe\xff\xd8",
    ] {
        // None panics; what is left over of a pair is nothing.
        let _ = parse(bytes);
    }
}

#[test]
fn the_last_of_two_equal_keys_and_the_first_document_win() {
    let config = read("contexts: []\ncontexts: [{name: a}]\n---\ncontexts: [{name: b}]").unwrap();
    assert_eq!(config.contexts[0].name, "a");
}

#[test]
fn paths_are_relative_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let users = "users: [{name: a, user: {tokenFile: t, exec: {command: ./p}}}, {name: b, user: {exec: {command: p}}}]";
    std::fs::write(&file, users).unwrap();
    let config = super::read(&file).unwrap();
    let user = |n: usize| config.auth_infos[n].auth_info.clone().unwrap();
    let within = |name: &str| Some(folder.path().join(name).to_str().unwrap().to_string());
    assert_eq!(user(0).token_file, within("t"));
    assert_eq!(user(0).exec.unwrap().command, within("./p"));
    assert_eq!(user(1).exec.unwrap().command.as_deref(), Some("p"));
    assert!(super::read(folder.path()).is_err());
    assert!(
        super::read(Path::new("/dev/zero"))
            .unwrap_err()
            .contains("larger than")
    );
}

#[test]
fn whatever_a_kubeconfig_says_is_read_or_refused() {
    let yaml = "\
apiVersion: v1
kind: Config
clusters:
- name: one
  cluster:
    server: https://user:pass@10.0.0.1:6443/k8s
    certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1BQT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=
    proxy-url: socks5://10.0.0.9:1080
    tls-server-name: kubernetes
users:
- name: one
  user: {client-certificate-data: YQ==, client-key-data: YQ==, token: abc, username: a, password: b}
- name: two
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: p, args: [a], env: [{name: A, value: b}], interactiveMode: Never}
contexts:
- {name: one, context: {cluster: one, user: one, namespace: x}}
- {name: two, context: {cluster: one, user: two}}
current-context: one
";
    let json = r#"{"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "a", "cluster": {"server":
        "https://[fd00::1]:6443", "insecure-skip-tls-verify": true}}], "users": [{"name": "a", "user":
        {"auth-provider": {"name": "oidc", "config": {"id-token": "x"}}}}], "contexts": [{"name": "a",
        "context": {"cluster": "a", "user": "a"}}], "preferences": {}}"#;
    crate::fuzz::fuzz("kubeconfigs from files", &[yaml, json], |input| {
        let Ok(mut config) = parse(input) else { return };
        resolve(&mut config, Path::new("/nonexistent"));
        for context in &config.contexts {
            let entry = super::super::entry::find(&config, &context.name);
            if let Some(Ok(entry)) = entry {
                let _ = super::super::config(&entry);
                let _ = super::super::certificate(&entry.user);
            }
        }
    });
}
