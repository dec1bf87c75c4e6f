//! Addresses that a user sets for a remote's API server.

use std::path::Path;

use ambikiali_sandbox::fault::{Action, Fault, Proxy, Verb, When};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{
    CLEANUP, Clusters, INSTALL, ambikiali, entry, get, kubeconfig, masked, on_two_clusters,
    unwritten,
};

/// Invalid addresses for Kiali, and why.
const WRONG: [(&str, &str); 12] = [
    (
        "10.0.0.2:6443",
        "it must start with https://, because a token is sent to it",
    ),
    (
        "http://10.0.0.2:6443",
        "it must start with https://, because a token is sent to it",
    ),
    (
        "HTTP://10.0.0.2",
        "it must start with https://, because a token is sent to it",
    ),
    (
        "ftp://10.0.0.2",
        "it must start with https://, because a token is sent to it",
    ),
    ("https://", "its host is neither a name nor an IP address"),
    (
        "https://a b",
        "its host is neither a name nor an IP address",
    ),
    (
        "https://fd00::1",
        "its host is neither a name nor an IP address",
    ),
    (
        "https://10.0.0.2:port",
        "its port is not a number from 1 to 65535",
    ),
    (
        "https://10.0.0.2:65536",
        "its port is not a number from 1 to 65535",
    ),
    (
        "https://user:s3cret@10.0.0.2",
        "it has a user or a password",
    ),
    (
        "https://10.0.0.2?token=s3cret",
        "it has a query or a fragment",
    ),
    ("https://10.0.0.2/#s3cret", "it has a query or a fragment"),
];

/// Writes a kubeconfig with contexts `one` and `two`.
fn written(at: &Path, server: &str) {
    let clusters = ["one", "two"].map(|name| json!({"name": name, "cluster": {"server": server}}));
    let contexts = ["one", "two"]
        .map(|name| json!({"name": name, "context": {"cluster": name, "user": "me"}}));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "clusters": clusters, "contexts": contexts,
        "users": [{"name": "me", "user": {"token": "a"}}],
    });
    std::fs::write(at, config.to_string()).expect("a kubeconfig");
}

#[tokio::test]
async fn case_21_an_address_that_is_none_is_wrong_usage_before_anything_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = format!("https://{}", listener.local_addr().expect("an address"));
    written(&file, &server);
    for (address, why) in WRONG {
        let form = "the address must be https://HOST[:PORT][/PATH]";
        for command in ["check", "plan", "install"] {
            let named = ["--ctx1=one", "--ctx2=two", "--api-server2", address];
            let arguments = [&[command], &named[..]].concat();
            let ended = ambikiali(&arguments, &file, folder.path()).await.exited(2);
            let said = format!("error: --api-server2: {form}: {why}\n");
            assert!(ended.stderr.starts_with(&said), "{address}: {ended:#?}");
            assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
        }
        let fleet = json!({
            "apiVersion": "ambikiali.dev/v1alpha1", "kind": "Fleet",
            "home": {"context": "one"}, "remotes": [{"context": "two", "apiServer": address}],
        });
        let fleet_file = folder.path().join("fleet.yaml");
        std::fs::write(&fleet_file, fleet.to_string()).expect("a file");
        let arguments = ["install", "-f", fleet_file.to_str().expect("text")];
        let ended = ambikiali(&arguments, &file, folder.path()).await.exited(2);
        assert!(
            ended.stderr.contains(&format!("{form}: {why} at line ")),
            "{ended:#?}"
        );
        assert!(!ended.stderr.contains("s3cret"), "{ended:#?}");
    }
    let asked = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(asked.is_err(), "a cluster was asked");
}

#[tokio::test]
async fn case_21_a_ca_and_a_name_that_are_none_are_wrong_usage_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, key) = (folder.path().join("config"), folder.path().join("key.pem"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    written(
        &file,
        &format!("https://{}", listener.local_addr().expect("an address")),
    );
    let pem = "-----BEGIN PRIVATE KEY-----\nczNjcmV0\n-----END PRIVATE KEY-----\n";
    std::fs::write(&key, pem).expect("a file");
    let key = key.to_str().expect("text");
    let home = folder.path().to_str().expect("text");
    for (flag, value, why) in [
        ("--ca2", key, "it has no PEM certificate"),
        ("--ca2", "/nowhere/ca.pem", "No such file or directory"),
        ("--ca2", home, "not a file"),
        ("--ca2", "/dev/zero", "not a file"),
        (
            "--tls-server-name2",
            "a b",
            "it is neither a DNS name nor an IP address",
        ),
        (
            "--tls-server-name2",
            "",
            "it is neither a DNS name nor an IP address",
        ),
    ] {
        let arguments = ["install", "--ctx1=one", "--ctx2=two", flag, value];
        let ended = ambikiali(&arguments, &file, folder.path()).await.exited(2);
        assert!(ended.stderr.contains(why), "{flag} {value}: {ended:#?}");
        assert!(!ended.stderr.contains("czNj"), "{ended:#?}");
    }
    let asked = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
    assert!(asked.is_err(), "a cluster was asked");
}

/// Returns the cluster in Kiali's kubeconfig for the remote.
async fn given(clusters: &Clusters) -> Value {
    let secret = get(
        clusters.home(),
        "v1",
        "Secret",
        "kiali/kiali-multi-cluster-secret",
    )
    .await;
    let secret = secret.expect("a Secret");
    let text = STANDARD.decode(secret["data"]["cluster2"].as_str().expect("a kubeconfig"));
    let config: Value = serde_yaml::from_slice(&text.expect("base64")).expect("YAML");
    config["clusters"][0]["cluster"].clone()
}

#[test]
fn case_19_an_address_that_is_named_brings_its_own_ca_and_name() {
    on_two_clusters(async |clusters| {
        // Users reach the remote through a proxy with its own CA, name and tokens.
        let front = Proxy::start(clusters.remote(), "ambikiali/")
            .await
            .expect("a proxy");
        front.add(Fault {
            verbs: Verb::ALL,
            path: "",
            when: When::Always,
            action: Action::UnknownToken,
        });
        let file = clusters.state().join("front");
        let file = front
            .kubeconfig(clusters.sandbox.kubeconfig(), file)
            .expect("a kubeconfig");
        let file = kubeconfig(&file, file.clone(), |config| {
            entry(config, "cluster", "cluster2")["tls-server-name"] = "front.example".into();
        });
        let install = async |more: &[&str]| {
            let arguments = [&INSTALL[..], more].concat();
            ambikiali(&arguments, &file, clusters.state()).await
        };
        let unknown = install(&[]).await.exited(8).error();
        assert_eq!(
            masked(&unknown),
            "\
remote cluster: cluster2: https://127.0.0.1:PORT takes your credentials, but refuses the token of ServiceAccount \
kiali-service-account (401): a front with tokens of its own, like Rancher or Teleport, does not know those \
of the cluster; it was not given to Kiali
  fix: name the API server itself, as the pods of home reach it: --api-server2 https://HOST:PORT
"
        );
        let itself = ["--api-server2", clusters.remote().server()];
        install(&itself).await.succeeded();
        let own = given(clusters).await;
        assert_eq!(own["server"], clusters.remote().server());
        assert_eq!(own["tls-server-name"], Value::Null);
        let ca = STANDARD.decode(own["certificate-authority-data"].as_str().expect("a CA"));
        let lines = |pem: &[u8]| String::from_utf8_lossy(pem).trim().to_string();
        assert_eq!(lines(&ca.expect("base64")), clusters.remote().ca().trim());
        let marks = clusters.marks();
        install(&itself).await.succeeded();
        unwritten(&marks);
        another_ca_and_name(clusters, &front, &install).await;
        let cleanup = CLEANUP;
        ambikiali(&cleanup, &file, clusters.state())
            .await
            .succeeded();
    });
}

/// A CA and a server name from the user apply to the address from the user.
async fn another_ca_and_name(
    clusters: &Clusters,
    front: &Proxy,
    install: &impl AsyncFn(&[&str]) -> crate::support::Ended,
) {
    let itself = ["--api-server2", clusters.remote().server()];
    let (wrong, right) = (
        clusters.state().join("wrong"),
        clusters.state().join("right"),
    );
    std::fs::write(&wrong, front.ca()).expect("a file");
    std::fs::write(&right, [front.ca(), clusters.remote().ca()].concat()).expect("a file");
    let (wrong, right) = (wrong.to_str().expect("text"), right.to_str().expect("text"));
    let before = given(clusters).await;
    let other = "name the CA that vouches for its certificate: --ca2 FILE";
    for (more, cause, fix) in [
        (
            ["--ca2", wrong],
            format!("its certificate is not signed by a CA of --ca2 {wrong}"),
            other,
        ),
        (
            ["--ca2", "system"],
            "the CAs of this machine (--ca2 system) do not know its certificate".into(),
            other,
        ),
        (
            ["--tls-server-name2", "front.example"],
            "its certificate is not valid for this address".into(),
            "name an address that this machine and the pods of home reach: --api-server2 https://HOST:PORT",
        ),
    ] {
        let refused = install(&[&itself[..], &more].concat()).await.exited(8);
        let said = refused.error();
        let cause = format!(
            "the kubeconfig that Kiali would use does not work at https://127.0.0.1:PORT: {cause}; it was not given to Kiali\n  fix: {fix}\n"
        );
        assert!(said.ends_with(&cause), "{said}");
        assert_eq!(given(clusters).await, before, "{more:?}");
    }
    let more = ["--ca2", right, "--tls-server-name2", "localhost"];
    install(&[&itself, &more[..]].concat()).await.succeeded();
    let now = given(clusters).await;
    assert_eq!(now["tls-server-name"], "localhost");
    assert_ne!(
        now["certificate-authority-data"],
        before["certificate-authority-data"]
    );
}
