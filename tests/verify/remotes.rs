//! A remote that Kiali cannot see, for each possible reason.

use std::fs;

use ambikiali_sandbox::Cluster;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::WITHOUT_PROBES;
use crate::support::{Clusters, get, masked, on_two_clusters, patch, remove, until};

#[test]
fn a_remote_that_kiali_cannot_use_is_named() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        a_token_that_was_revoked(clusters).await;
        a_kiali_that_does_not_know_the_remote(clusters).await;
        clusters.cleaned().await;
    });
}

async fn a_token_that_was_revoked(clusters: &Clusters) {
    let remote = clusters.remote();
    let secret = get(remote, "v1", "Secret", "kiali/kiali").await;
    let secret = secret.expect("the token's Secret");
    let token = STANDARD.decode(secret["data"]["token"].as_str().expect("a token"));
    let token = String::from_utf8(token.expect("base64")).expect("text");
    remove(remote, "v1", "Secret", "kiali/kiali").await;
    // An API server caches a token for ten seconds.
    let bearer = remote.client_with_token(&token).expect("a client");
    until("the token is refused", async || {
        bearer.apiserver_version().await.is_err()
    })
    .await;
    let broken = clusters.run(&WITHOUT_PROBES).await.exited(5);
    assert_eq!(
        masked(&broken.stdout),
        "\
ok        components     cluster1      11 ready
broken    components     cluster2      Secret kiali/kiali: not found
ok        scrape target  cluster1      https://ADDRESS:9090/federate up
ok        scrape target  cluster2      https://ADDRESS:9090/federate up
ok        exposure       cluster1      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
ok        exposure       cluster2      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
broken    remote access  cluster2      Kiali's kubeconfig for it does not work: the credentials expired or are refused (401 Unauthorized)
ok        rights         cluster1      Kiali only looks: the API server denies it 27 of 27 changes asked about
unproven  rights         cluster2      cannot ask what Kiali may change: the credentials expired or are refused (401 Unauthorized)
broken    kiali          cluster1      it cannot reach cluster2
skipped   flow           all           disabled by --probes none
Not verified in TIME: 3 broken, 1 unproven, 1 skipped, 6 ok
"
    );
    clusters.install(&[]).await.succeeded();
}

async fn a_kiali_that_does_not_know_the_remote(clusters: &Clusters) {
    let home = clusters.home();
    let before = kiali(home).await;
    let without = json!({"data": {"cluster2": null}});
    let secret = "kiali/kiali-multi-cluster-secret";
    patch(home, "v1", "Secret", secret, &without).await;
    until("the operator has rolled Kiali", async || {
        let now = kiali(home).await;
        now["metadata"]["generation"] != before["metadata"]["generation"]
            && now["status"]["observedGeneration"] == now["metadata"]["generation"]
            && ["replicas", "updatedReplicas", "readyReplicas"]
                .iter()
                .all(|count| now["status"][count] == 1)
    })
    .await;
    let broken = clusters.run(&WITHOUT_PROBES).await.exited(5);
    assert_eq!(
        masked(&broken.stdout),
        "\
broken    components     cluster1      Secret kiali/kiali-multi-cluster-secret: no kubeconfig for cluster2
ok        components     cluster2      8 ready
ok        scrape target  cluster1      https://ADDRESS:9090/federate up
ok        scrape target  cluster2      https://ADDRESS:9090/federate up
ok        exposure       cluster1      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
ok        exposure       cluster2      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
broken    remote access  cluster2      Secret kiali/kiali-multi-cluster-secret on cluster1 has no kubeconfig for it
ok        rights         cluster1      Kiali only looks: the API server denies it 27 of 27 changes asked about
unproven  rights         cluster2      cannot ask what Kiali may change: it has no kubeconfig for the cluster
broken    kiali          cluster1      it cannot reach cluster2
skipped   flow           all           disabled by --probes none
Not verified in TIME: 3 broken, 1 unproven, 1 skipped, 6 ok
"
    );
    clusters.install(&[]).await.succeeded();
}

async fn kiali(home: &Cluster) -> Value {
    let kiali = get(home, "apps/v1", "Deployment", "kiali/kiali").await;
    kiali.expect("a Deployment")
}

#[test]
fn a_remote_that_does_not_answer_is_named_and_the_rest_is_looked_at() {
    on_two_clusters(async |clusters| {
        let _kubeconfig = installed_by_other_contexts(clusters).await;
        clusters.remote().pause_api_server().expect("paused");
        let broken = clusters.run(&WITHOUT_PROBES).await.exited(5);
        clusters.remote().resume_api_server().expect("resumed");
        assert_eq!(
            masked(&broken.stdout),
            "\
broken    api server     cluster2      context east at https://127.0.0.1:PORT: no answer in 10 s
ok        components     cluster1      11 ready
ok        scrape target  cluster1      https://ADDRESS:9090/federate up
ok        scrape target  cluster2      https://ADDRESS:9090/federate up
ok        exposure       cluster1      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
unproven  exposure       cluster2      the address of its Gateway is unknown
broken    remote access  cluster2      Kiali's kubeconfig for it does not work: no answer in 10 s
ok        rights         cluster1      Kiali only looks: the API server denies it 27 of 27 changes asked about
unproven  rights         cluster2      cannot ask what Kiali may change: no answer in 10 s
broken    kiali          cluster1      its /api/status: no answer in 10 s
skipped   flow           all           disabled by --probes none
Not verified in TIME: 3 broken, 2 unproven, 1 skipped, 5 ok
"
        );
        clusters.remote().kill_api_server().expect("killed");
        let broken = clusters.run(&WITHOUT_PROBES).await.exited(5);
        let back = clusters.remote().restart_api_server().await;
        back.expect("started again");
        assert_eq!(
            masked(&broken.stdout),
            "\
broken    api server     cluster2      context east at https://127.0.0.1:PORT: Connection refused
ok        components     cluster1      11 ready
ok        scrape target  cluster1      https://ADDRESS:9090/federate up
ok        scrape target  cluster2      https://ADDRESS:9090/federate up
ok        exposure       cluster1      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
unproven  exposure       cluster2      the address of its Gateway is unknown
broken    remote access  cluster2      Kiali's kubeconfig for it does not work: Connection refused
ok        rights         cluster1      Kiali only looks: the API server denies it 27 of 27 changes asked about
unproven  rights         cluster2      cannot ask what Kiali may change: Connection refused
broken    kiali          cluster1      it cannot reach cluster2
skipped   flow           all           disabled by --probes none
Not verified in TIME: 3 broken, 2 unproven, 1 skipped, 5 ok
"
        );
        until("all is as it was", async || {
            clusters.run(&["status"]).await.code == 0
        })
        .await;
        clusters.cleaned().await;
    });
}

/// Installs with contexts that are named differently from their clusters, so that names can only come from the
/// clusters. Returns the folder of the kubeconfig.
async fn installed_by_other_contexts(clusters: &Clusters) -> TempDir {
    let text = fs::read_to_string(clusters.sandbox.kubeconfig()).expect("a kubeconfig");
    let mut kubeconfig: Value = serde_json::from_str(&text).expect("JSON");
    for (context, name) in ["west", "east"].into_iter().enumerate() {
        kubeconfig["contexts"][context]["name"] = json!(name);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("kubeconfig");
    fs::write(&file, kubeconfig.to_string()).expect("a kubeconfig");
    let file = file.to_str().expect("text");
    let install = ["install", "--ctx1=west", "--ctx2=east", "--allow-loopback"];
    let install = [&install[..], &["--kubeconfig", file]].concat();
    clusters.run(&install).await.succeeded();
    folder
}
