//! A password in a server's address is never shown.

use std::path::PathBuf;

use ambikiali_sandbox::fault::Proxy;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;

use crate::support::{Clusters, Ended, ambikiali, entry, get, kubeconfig, on_two_clusters};

const PASSWORD: &str = "hunter2";

#[track_caller]
fn hides(what: &str, ended: &Ended) {
    for text in [&ended.stdout, &ended.stderr] {
        assert!(
            !text.contains(PASSWORD) && !text.contains("user:"),
            "{what}: {text}"
        );
    }
}

/// The kubeconfig with a login in the addresses of both servers, which are proxies that accept it.
fn with_user(clusters: &Clusters, servers: &[Proxy; 2], user: &str) -> PathBuf {
    let [one, two, both] = ["one", "two", "both"].map(|name| clusters.state().join(name));
    let one = servers[0].kubeconfig(clusters.sandbox.kubeconfig(), one);
    let two = servers[1].kubeconfig(&one.expect("a kubeconfig"), two);
    kubeconfig(&two.expect("a kubeconfig"), both, |config| {
        for name in ["cluster1", "cluster2"] {
            let server = &mut entry(config, "cluster", name)["server"];
            let address = server.as_str().expect("a server").to_string();
            *server = address
                .replace("https://", &format!("https://{user}@"))
                .into();
        }
    })
}

#[test]
fn attack_18_a_password_in_an_address_is_never_shown_nor_handed_on() {
    on_two_clusters(async |clusters| {
        let server = async |cluster| Proxy::start(cluster, "ambikiali").await.expect("a server");
        let servers = [
            server(clusters.home()).await,
            server(clusters.remote()).await,
        ];
        let file = with_user(clusters, &servers, &format!("user:{PASSWORD}"));
        for command in [
            &["check", "--allow-loopback"][..],
            &["plan", "--allow-loopback"],
            &["install", "--allow-loopback", "-v"],
            &["status", "-v"],
            &["verify", "--probes", "none", "-v"],
            &["version", "-v"],
        ] {
            for form in ["text", "json"] {
                let both = ["--ctx1", "cluster1", "--ctx2", "cluster2", "-o", form];
                let arguments = [command, &both[..]].concat();
                let ended = ambikiali(&arguments, &file, clusters.state()).await;
                hides(&arguments.join(" "), &ended.succeeded());
            }
        }
        let secret = "kiali/kiali-multi-cluster-secret";
        let secret = get(clusters.home(), "v1", "Secret", secret)
            .await
            .expect("a Secret");
        let given = secret["data"]["cluster2"].as_str().expect("a kubeconfig");
        let given = STANDARD.decode(given).expect("base64");
        let given = String::from_utf8(given).expect("text");
        assert!(given.contains("https://127."), "it has the address");
        assert!(!given.contains(PASSWORD), "it has the password");
        for file in std::fs::read_dir(clusters.state().join("ambikiali")).expect("the state") {
            let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
            assert!(!text.contains(PASSWORD), "{text}");
        }
        clusters.cleaned().await;
    });
}

#[tokio::test]
async fn attack_18_a_password_in_an_address_is_not_in_errors_either() {
    for server in [
        // Nothing listens; malformed password, port and host; no scheme.
        "https://user:hunter2@127.0.0.1:1",
        "https://user:hunter2@127.0.0.1:1/k8s/clusters/c-1",
        "https://user:hun%2Fhunter2@127.0.0.1:1",
        "https://user:x/hunter2@127.0.0.1:1",
        "https://user:x hunter2@127.0.0.1:1",
        "https://user:hunter2@127.0.0.1:port",
        "https://user:hunter2@",
        "user:hunter2@127.0.0.1:1",
        "http://user:hunter2@127.0.0.1:1",
        "ftp://user:hunter2@127.0.0.1:1",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config");
        let cluster = serde_json::json!({"name": "all", "cluster": {"server": server}});
        let context = |name| serde_json::json!({"name": name, "context": {"cluster": "all"}});
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "clusters": [cluster],
            "contexts": [context("east"), context("west")],
        });
        std::fs::write(&file, config.to_string()).expect("a kubeconfig");
        let forms = ["check", "status", "install", "cleanup"].map(|c| (c, "text"));
        let forms = forms
            .into_iter()
            .chain([("version", "json"), ("check", "jsonl")]);
        let all = forms.map(async |(command, form)| {
            let named = ["--ctx1", "east", "--ctx2", "west", "-v", "-o", form];
            let arguments = [&[command], &named[..]].concat();
            let ended = ambikiali(&arguments, &file, folder.path()).await;
            assert_ne!(ended.code, 0, "{server}: {ended:#?}");
            assert_ne!(ended.code, 101, "{server}: {ended:#?}");
            hides(server, &ended);
        });
        join_all(all).await;
    }
}
