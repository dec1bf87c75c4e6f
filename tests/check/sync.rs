//! The sync status of the other clusters, as the real istiod reports it.

use ambikiali_sandbox::Cluster;
use serde_json::json;

use crate::support::{BOTH, dead_kubeconfig, get, merge, on_two_clusters, put, until};

const SECRET: (&str, &str, &str) = ("v1", "Secret", "istio-system/istio-remote-secret-cluster1");

async fn leads_elsewhere(cluster: &Cluster) {
    let (version, kind, name) = SECRET;
    let secret = json!({"stringData": {"cluster1": dead_kubeconfig("cluster1")}});
    merge(cluster, version, kind, name, &secret).await;
}

#[test]
fn an_istiod_that_does_not_reach_another_cluster_is_warned_of_until_it_does() {
    on_two_clusters(async |clusters| {
        let remote = clusters.remote();
        let before = get(remote, SECRET.0, SECRET.1, SECRET.2).await;
        let check = [&["check"], &BOTH[..]].concat();
        let strict = [&check[..], &["--strict"]].concat();
        leads_elsewhere(remote).await;
        let said = "warning[AK1214]: cluster2: Secret istio-system/istio-remote-secret-cluster1: istiod is not in sync with cluster1 by it: ";
        until("istiod has lost sight of it", async || {
            let ended = clusters.run(&check).await.succeeded();
            let warned = ended.stdout.contains(said);
            let fix = "\n  fix: istioctl --context cluster2 remote-clusters\n";
            assert_eq!(warned, ended.stdout.contains(fix), "{ended:#?}");
            warned
        })
        .await;
        clusters.run(&strict).await.exited(3);
        put(remote, before.expect("a Secret")).await;
        until("istiod sees it again", async || {
            let ended = clusters.run(&check).await.succeeded();
            ended.stdout == "Ready to install\n"
        })
        .await;
    });
}

#[test]
fn an_istiod_that_says_nothing_is_warned_of_and_is_no_reason_to_stop() {
    on_two_clusters(async |clusters| {
        clusters.remote().pause_istiod().expect("istiod");
        let check = [&["check"], &BOTH[..]].concat();
        let ended = clusters.run(&check).await.succeeded();
        let strict = [&check[..], &["--strict"]].concat();
        clusters.run(&strict).await.exited(3);
        clusters.remote().resume_istiod().expect("istiod");
        assert!(
            ended
                .stdout
                .starts_with("warning[AK1215]: cluster2: Pod istio-system/istiod-"),
            "{ended:#?}"
        );
        assert!(
            ended.stdout.ends_with(
                ": does not tell whether it is in sync with the other clusters: no answer in 3 s\n  \
                 fix: istioctl --context cluster2 remote-clusters\n\
                 Ready to install: 1 warning\n"
            ),
            "{ended:#?}"
        );
    });
}
