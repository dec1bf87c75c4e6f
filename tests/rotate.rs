//! `rotate`: Kiali gets new tokens without a gap, and the old ones are refused. What is left of an interrupted rotation
//! is removed, and nothing of others is.

mod asker;
mod lifetime;
mod refused;

use ambikiali_sandbox::Cluster;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use serde_json::Value;

use crate::support::{Clusters, get, masked, on_two_clusters, progress, unwritten};
use asker::Asker;

const VERIFY: [&str; 3] = ["verify", "--probes", "none"];
/// All names of a token's Secret.
const NAMES: [&str; 4] = ["kiali", "kiali-2", "kiali-expiring", "kiali-expiring-2"];

/// The token that Kiali has for the remote.
pub async fn used(clusters: &Clusters) -> String {
    let name = "kiali/kiali-multi-cluster-secret";
    let secret = get(clusters.home(), "v1", "Secret", name).await;
    let secret = secret.expect("the remotes' Secret");
    let text = secret["data"]["cluster2"].as_str().expect("a kubeconfig");
    let text = STANDARD.decode(text).expect("base64");
    let config: Value = serde_yaml::from_slice(&text).expect("YAML");
    let token = config["users"][0]["user"]["token"].as_str();
    token.expect("a token").to_string()
}

/// The Secrets of tokens in the remote.
pub async fn secrets(clusters: &Clusters) -> Vec<&'static str> {
    let mut found = Vec::new();
    for name in NAMES {
        let secret = get(clusters.remote(), "v1", "Secret", &format!("kiali/{name}")).await;
        found.extend(secret.map(|_| name));
    }
    found
}

/// The status code of a request with a token.
pub async fn answer(cluster: &Cluster, token: &str) -> u16 {
    let mut config = kube::Config::new(cluster.server().parse().expect("an address"));
    config.accept_invalid_certs = true;
    config.auth_info.token = Some(token.to_string().into());
    let client = Client::try_from(config).expect("a client");
    match client.list_core_api_versions().await {
        Ok(_) => 200,
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_new_token_replaces_the_old_one_without_a_gap_and_the_old_one_is_refused() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let first = used(clusters).await;
        assert_eq!(answer(clusters.remote(), &first).await, 200);

        let marks = clusters.marks();
        let plan = clusters.run(&["rotate", "--dry-run"]).await.succeeded();
        unwritten(&marks);
        assert_eq!(
            masked(&plan.stdout),
            "\
would rotate  cluster2      Secret kiali/kiali-2: it was N minutes old
would remove  cluster2      Secret kiali/kiali
Dry run: 1 token would be replaced; nothing was written
"
        );
        let kept = clusters.run(&["rotate", "--if-older", "30d"]).await;
        let kept = kept.succeeded();
        unwritten(&marks);
        assert_eq!(
            masked(&kept.stdout),
            "\
kept          cluster2      Secret kiali/kiali: it is N minutes old, younger than 30d
Done in TIME: 0 tokens replaced
"
        );

        let asker = Asker::start(clusters);
        let ended = clusters.run(&["rotate"]).await.succeeded();
        let (asked, failed) = asker.stopped().await;
        assert_eq!(failed, Vec::<String>::new(), "of {asked} requests");
        assert!(asked > 10, "{asked} requests");
        println!("rotate: {asked} requests to Kiali meanwhile, none failed");
        assert_eq!(
            masked(&ended.stdout),
            "\
rotated       cluster2      Secret kiali/kiali-2: it was N minutes old
removed       cluster2      Secret kiali/kiali; its token is refused
Done in TIME: 1 token replaced
"
        );
        assert_eq!(
            progress(&ended.stderr),
            "\
cluster1      kiali               done     sees cluster1, cluster2
cluster1      remote secret       done     new token for cluster2
cluster2      remote cluster      done     Secret kiali/kiali is deleted, and its token is refused
cluster2      remote cluster      done     new token in Secret kiali/kiali-2, proven
"
        );
        let second = used(clusters).await;
        assert!(second != first);
        assert_eq!(answer(clusters.remote(), &first).await, 401);
        assert_eq!(answer(clusters.remote(), &second).await, 200);
        assert_eq!(secrets(clusters).await, ["kiali-2"]);
        assert!(!format!("{ended:?}").contains(&second));
        clusters.run(&VERIFY).await.succeeded();
        let status = clusters.run(&["status"]).await.succeeded().stdout;
        let line = "ready      Secret kiali/kiali-2: the token is N minutes old and never ends\n";
        assert!(masked(&status).contains(line), "{status}");

        // An install keeps the token.
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        let json = clusters.run(&["rotate", "-o", "json"]).await.succeeded();
        let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!(json["kind"], "RotateResult");
        let token = &json["tokens"][0];
        assert_eq!(token["secret"], "Secret kiali/kiali");
        assert_eq!(token["removed"][0], "Secret kiali/kiali-2");
        assert_eq!(token["action"], "rotate");
        assert_eq!(answer(clusters.remote(), &second).await, 401);
        assert_eq!(secrets(clusters).await, ["kiali"]);
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        clusters.cleaned().await;
    });
}
