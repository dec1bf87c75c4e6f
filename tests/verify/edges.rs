//! Edges between clusters, as the ztunnels of both ends report them. Whether they know each other depends on their
//! versions and on a setting of the receiver, and a failed connection moves no bytes.

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::standin::sample::Failure;
use serde_json::{Value, json};

use super::{last_lines, whichever_end};
use crate::support::{BOTH, Clusters, get, on_two_clusters, put, scale, until};

const ZTUNNEL: &str = "istio-system/ztunnel";
const OLD: &str = "docker.io/istio/ztunnel:1.28.3";

#[test]
fn an_edge_is_proven_by_the_clusters_that_the_series_name() {
    on_two_clusters(async |clusters| {
        clusters.scraped_as_configured(true);
        clusters.installed().await;
        a_receiver_that_does_not_tell(clusters).await;
        scraped(clusters).await;
        a_receiver_that_is_old(clusters).await;
        scraped(clusters).await;
        a_sender_that_is_old(clusters).await;
        clusters.cleaned().await;
        clusters.scraped_as_configured(false);
    });
}

/// Waits until what one part counted was scraped in its cluster and then by home. Each of these runs sends no
/// request and ends after one more scrape by home; the last is two intervals after the first.
async fn scraped(clusters: &Clusters) {
    for _ in 0..3 {
        let verified = clusters.run(&["verify", "--traffic", "none"]).await;
        verified.succeeded();
    }
}

/// Neither end knows the other. Home's metrics are still verified, even if no pod of home answers.
async fn a_receiver_that_does_not_tell(clusters: &Clusters) {
    let hide = |container: &mut Value| {
        let variables = container["env"].as_array_mut().expect("variables");
        variables.push(json!({"name": "ENABLE_RESPONSE_BAGGAGE", "value": "false"}));
    };
    let before = changed(clusters.remote(), hide).await;
    scale(clusters.home(), "sample/helloworld-v1", 0).await;
    let broken = clusters.run(&["verify"]).await.exited(5);
    assert_eq!(
        last_lines(&broken.stdout, 5),
        "\
ok        traffic        cluster1      N requests answered: Hello version: v2
ok        metrics        cluster1      bytes of its own requests grew by N B
ok        metrics        cluster2      received bytes grew by N B
broken    edge           cluster2      received bytes grew, but from cluster \"unknown\": Kiali shows no edge from cluster1; ztunnel of cluster2 has ENABLE_RESPONSE_BAGGAGE=false (AK1230)
Not verified in TIME: 1 broken, 13 ok
"
    );
    let check = clusters.run(&[&["check"], &BOTH[..]].concat()).await;
    let said = "warning[AK1230]: cluster2: DaemonSet istio-system/ztunnel: sets ENABLE_RESPONSE_BAGGAGE=false";
    assert!(check.stdout.contains(said), "{check:#?}");
    scale(clusters.home(), "sample/helloworld-v1", 1).await;
    replaced(clusters.remote(), before).await;
}

async fn a_receiver_that_is_old(clusters: &Clusters) {
    let before = changed(clusters.remote(), old).await;
    let verified = clusters.run(&["verify"]).await.succeeded();
    assert_eq!(
        whichever_end(&last_lines(&verified.stdout, 4)),
        "\
ok        metrics        cluster1      received bytes grew by N B
ok        metrics        cluster2      received bytes grew by N B
ok        edge           cluster2      received bytes from cluster1 grew by N B; ztunnel of cluster2 is older than 1.29 (AK1209): Kiali shows a second edge, inside cluster1
Verified in TIME: 14 ok
"
    );
    replaced(clusters.remote(), before).await;
}

async fn a_sender_that_is_old(clusters: &Clusters) {
    let before = changed(clusters.home(), old).await;
    let verified = clusters.run(&["verify"]).await.succeeded();
    assert_eq!(
        whichever_end(&last_lines(&verified.stdout, 4)),
        "\
ok        metrics        cluster1      received bytes grew by N B
ok        metrics        cluster2      received bytes grew by N B
ok        edge           cluster2      received bytes from cluster1 grew by N B; ztunnel of cluster1 is older than 1.29 (AK1209): Kiali shows a second edge, to a cluster \"Kubernetes\" that does not exist
Verified in TIME: 14 ok
"
    );
    replaced(clusters.home(), before).await;
}

#[test]
fn connections_between_clusters_that_fail_are_told_by_their_flags() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let traffic = &clusters.sandbox.world().traffic;
        for (failure, said) in [
            (
                Failure::Connect,
                "\
ok        metrics        cluster1      received bytes grew by N B
unproven  metrics        cluster2      no request reached it
broken    edge           cluster2      connections from cluster1 to another cluster fail (response_flags CONNECT): the east-west gateway or ztunnel of cluster2 is unreachable or refuses them
Not verified in TIME: 2 broken, 1 unproven, 11 ok
",
            ),
            (
                Failure::Deny,
                "\
ok        metrics        cluster1      received bytes grew by N B
ok        metrics        cluster2      no bytes were received, but failed connections are counted
broken    edge           cluster2      cluster2 denies connections from cluster1 (response_flags DENY): an AuthorizationPolicy there does not allow them
Not verified in TIME: 2 broken, 12 ok
",
            ),
        ] {
            traffic.fail(Some(failure));
            let broken = clusters.run(&["verify"]).await.exited(5);
            traffic.fail(None);
            let last = whichever_end(&last_lines(&broken.stdout, 4));
            assert_eq!(last, said, "{failure:?}");
            let failed = " requests failed: curl helloworld.sample:5000/hello in Pod sample/curl-";
            assert!(broken.stdout.contains(failed), "{broken:#?}");
            let curl = ": curl: (56) Recv failure: Connection reset by peer\n";
            assert!(broken.stdout.contains(curl), "{broken:#?}");
        }
        clusters.cleaned().await;
    });
}

fn old(container: &mut Value) {
    container["image"] = json!(OLD);
}

/// Changes ztunnel's container, and returns the original DaemonSet.
async fn changed(cluster: &Cluster, change: impl FnOnce(&mut Value)) -> Value {
    let before = daemon_set(cluster).await;
    let mut after = before.clone();
    change(&mut after["spec"]["template"]["spec"]["containers"][0]);
    replaced(cluster, after).await;
    before
}

/// Replaces the DaemonSet and waits until all its pods are updated.
async fn replaced(cluster: &Cluster, set: Value) {
    put(cluster, set).await;
    until("ztunnel is rolled out", async || {
        let now = daemon_set(cluster).await;
        let status = &now["status"];
        status["observedGeneration"] == now["metadata"]["generation"]
            && [
                "updatedNumberScheduled",
                "currentNumberScheduled",
                "numberReady",
            ]
            .iter()
            .all(|count| status[count] == status["desiredNumberScheduled"])
    })
    .await;
}

async fn daemon_set(cluster: &Cluster) -> Value {
    let set = get(cluster, "apps/v1", "DaemonSet", ZTUNNEL).await;
    set.expect("a DaemonSet")
}
