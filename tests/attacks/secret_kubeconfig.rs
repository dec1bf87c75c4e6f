//! A kubeconfig in a Secret is untrusted: it cannot start programs or read files on this machine.

use std::path::Path;

use ambikiali_sandbox::Cluster;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Clusters, from_an_install, get, patch, scale, until};

const SECRET: &str = "kiali/kiali-multi-cluster-secret";
const VERIFY: [&str; 3] = ["verify", "--probes", "none"];
const TAKEN: &str = "a kubeconfig from a cluster may only have server, certificate-authority-data, tls-server-name and token";

/// Returns the remote's kubeconfig in home's Secret.
async fn kubeconfig(home: &Cluster) -> Value {
    let secret = get(home, "v1", "Secret", SECRET).await.expect("a Secret");
    let text = STANDARD.decode(secret["data"]["cluster2"].as_str().expect("a kubeconfig"));
    serde_yaml::from_slice(&text.expect("base64")).expect("YAML")
}

/// Replaces it, as anyone who can write Secrets can.
async fn write(home: &Cluster, text: &str) {
    let data = json!({"data": {"cluster2": STANDARD.encode(text)}});
    patch(home, "v1", "Secret", SECRET, &data).await;
}

/// A malicious kubeconfig, and the expected error.
struct Attempt {
    name: &'static str,
    said: String,
    text: String,
}

/// Returns the attempts. Each one leaves a file in `folder` if it starts a program.
fn attempts(good: &Value, folder: &Path, listener: &str) -> Vec<Attempt> {
    let mark = |name: &str| folder.join(name).display().to_string();
    let user = |name: &'static str, field: &str, user: Value| {
        let mut config = good.clone();
        config["users"][0]["user"] = user;
        let said = format!("it has \"{field}\"; {TAKEN}");
        Attempt {
            name,
            said,
            text: config.to_string(),
        }
    };
    let cluster = |name: &'static str, field: &str, value: Value, said: String| {
        let mut config = good.clone();
        config["clusters"][0]["cluster"][field] = value;
        Attempt {
            name,
            said,
            text: config.to_string(),
        }
    };
    let token = |name: &'static str, token: &str, said: &str| {
        let mut config = good.clone();
        config["users"][0]["user"]["token"] = json!(token);
        Attempt {
            name,
            said: said.into(),
            text: config.to_string(),
        }
    };
    let exec = json!({"exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
        "command": "touch", "args": [mark("exec")],
    }});
    let provider = json!({"auth-provider": {"name": "gcp", "config": {
        "cmd-path": "touch", "cmd-args": mark("provider"), "token-key": "{.a}",
    }}});
    let mut to_listener = user(
        "tokenFile",
        "tokenFile",
        json!({"tokenFile": mark("token")}),
    );
    let mut config: Value = serde_json::from_str(&to_listener.text).expect("JSON");
    config["clusters"][0]["cluster"]["server"] = json!(listener);
    to_listener.text = config.to_string();
    let refused = |field: &str| format!("it has \"{field}\"; {TAKEN}");
    let http = listener.replace("https", "http");
    let clear =
        "server: the address must be https://HOST[:PORT][/PATH]: it must start with https://";
    vec![
        user("exec", "exec", exec),
        user("auth-provider", "auth-provider", provider),
        to_listener,
        user(
            "client-certificate",
            "client-certificate",
            json!({"client-certificate": "/etc/hostname"}),
        ),
        user(
            "username",
            "username",
            json!({"username": "a", "password": "s3cret"}),
        ),
        cluster("proxy-url", "proxy-url", json!(http), refused("proxy-url")),
        cluster(
            "insecure-skip-tls-verify",
            "insecure-skip-tls-verify",
            json!(true),
            refused("insecure-skip-tls-verify"),
        ),
        cluster(
            "certificate-authority",
            "certificate-authority",
            json!("/etc/hostname"),
            refused("certificate-authority"),
        ),
        cluster("http", "server", json!(http), clear.into()),
        token("line break", "s3cret\n", "its token contains whitespace"),
        token(
            "non-ASCII",
            "s3cr\u{e9}t",
            "its token has characters that are not allowed in a header",
        ),
        token(
            "escape",
            "s3cret\u{1b}]0;x\u{7}",
            "its token has characters that are not allowed in a header",
        ),
        Attempt {
            name: "no kubeconfig",
            said: "it is not a kubeconfig for Kiali".into(),
            text: "s3cret".into(),
        },
    ]
}

#[test]
fn attack_01_a_kubeconfig_in_a_secret_starts_no_program_and_reads_no_file() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        // Kiali itself may contact any server in its kubeconfig. Stop it, so that only ambikiali is observed.
        for name in ["kiali/kiali-operator", "kiali/kiali"] {
            scale(home, name, 0).await;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("https://{}", listener.local_addr().expect("an address"));
        std::fs::write(folder.path().join("token"), "s3cret-of-this-machine").expect("a file");
        let good = kubeconfig(home).await;
        for attempt in attempts(&good, folder.path(), &address) {
            write(home, &attempt.text).await;
            refused(clusters, &attempt).await;
            let left = std::fs::read_dir(folder.path()).expect("a folder").count();
            assert_eq!(left, 1, "{}: a program was started", attempt.name);
        }
        let heard = tokio::time::timeout(std::time::Duration::ZERO, listener.accept()).await;
        assert!(heard.is_err(), "something was sent to the listener");
        for name in ["kiali/kiali-operator", "kiali/kiali"] {
            scale(home, name, 1).await;
        }
        // The next install restores the working kubeconfig.
        clusters.install(&[]).await.succeeded();
        assert_eq!(kubeconfig(home).await, good);
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            1
        );
        until("Kiali is as it was", async || {
            clusters.run(&VERIFY).await.code == 0
        })
        .await;
        clusters.cleaned().await;
    });
}

/// Checks that each command rejects it with the same error, without quoting it.
async fn refused(clusters: &Clusters, attempt: &Attempt) {
    let Attempt { name, said, .. } = attempt;
    let mut all = Vec::new();
    // `verify` uses the kubeconfig, which `status` only reads. It takes longer, so only some attempts run it.
    if ["exec", "auth-provider", "tokenFile", "http", "line break"].contains(name) {
        let broken = clusters.run(&VERIFY).await.exited(5);
        let line = format!("Kiali's kubeconfig for it does not work: {said}");
        assert!(broken.stdout.contains(&line), "{name}: {broken:#?}");
        all.push(broken);
    }
    let status = clusters.run(&["status"]).await.exited(1);
    let line = format!("the kubeconfig of cluster2 is unusable: {said}");
    assert!(status.stdout.contains(&line), "{name}: {status:#?}");
    all.push(status);
    for ended in all {
        assert!(!ended.stdout.contains("s3cr"), "{name}: {ended:#?}");
        assert!(!ended.stderr.contains("s3cr"), "{name}: {ended:#?}");
    }
}
