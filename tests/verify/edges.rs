//! Edges between clusters, as the ztunnels of both ends report them. Whether they know each other depends on their
//! versions and on a setting of the receiver, and a failed connection moves no bytes.

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::standin::sample::Failure;
use serde_json::{Value, json};

use super::last_lines;
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

/// Only what crosses from one cluster to another fails.
const TABLE: &str = "\
from \\ to  cluster1  cluster2
cluster1   ok        requests
cluster2   requests  -
";

/// Waits until what one part counted was scraped in its cluster and then by home. Each of these runs sends no
/// request and ends after one more scrape by home; the last is two intervals after the first.
async fn scraped(clusters: &Clusters) {
    for _ in 0..3 {
        let verified = clusters.run(&["verify", "--probes", "none"]).await;
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
        last_lines(&broken.stdout, 7),
        "\
from \\ to  cluster1  cluster2
cluster1   unproven  destination
cluster2   unproven  -
unproven  requests       cluster1 -> cluster1  cluster1: no ready pod with label app=helloworld in namespace sample to answer requests
broken    destination    cluster1 -> cluster2  received bytes grew, but from cluster \"unknown\": Kiali shows no edge from cluster1; ztunnel of cluster2 has ENABLE_RESPONSE_BAGGAGE=false (AK1230)
unproven  requests       cluster2 -> cluster1  cluster1: no ready pod with label app=helloworld in namespace sample to answer requests
Not verified in TIME: 10 ok; flows: 1 broken, 2 unproven
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
        last_lines(&verified.stdout, 7),
        "\
ok        kiali          cluster1      sees cluster1, cluster2
ok        flow           cluster1      [AK1209] ztunnel of cluster2 is older than 1.29: Kiali shows a second edge, inside cluster1
ok        flow           cluster2      [AK1209] ztunnel of cluster2 is older than 1.29: Kiali shows a second edge, to a cluster \"Kubernetes\" that does not exist
from \\ to  cluster1  cluster2
cluster1   ok        ok
cluster2   ok        -
Verified in TIME: 12 ok; flows: 3 ok
"
    );
    replaced(clusters.remote(), before).await;
}

async fn a_sender_that_is_old(clusters: &Clusters) {
    let before = changed(clusters.home(), old).await;
    let verified = clusters.run(&["verify"]).await.succeeded();
    assert_eq!(
        last_lines(&verified.stdout, 7),
        "\
ok        kiali          cluster1      sees cluster1, cluster2
ok        flow           cluster1      [AK1209] ztunnel of cluster1 is older than 1.29: Kiali shows a second edge, to a cluster \"Kubernetes\" that does not exist
ok        flow           cluster2      [AK1209] ztunnel of cluster1 is older than 1.29: Kiali shows a second edge, inside cluster2
from \\ to  cluster1  cluster2
cluster1   ok        ok
cluster2   ok        -
Verified in TIME: 12 ok; flows: 3 ok
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
                "connections from cluster1 to another cluster fail (response_flags CONNECT): the east-west gateway or ztunnel of cluster2 is unreachable or refuses them",
            ),
            (
                Failure::Deny,
                "cluster2 denies connections from cluster1 (response_flags DENY): an AuthorizationPolicy there does not allow them",
            ),
        ] {
            traffic.fail(Some(failure));
            let broken = clusters.run(&["verify"]).await.exited(5);
            traffic.fail(None);
            let last = last_lines(&broken.stdout, 6);
            let (table, lines) = last.split_once("broken  ").expect("a broken flow");
            assert_eq!(table, TABLE, "{failure:?}");
            assert!(
                last.ends_with(": 10 ok; flows: 2 broken, 1 ok\n"),
                "{broken:#?}"
            );
            let (there, back) = lines.split_once("broken  ").expect("two broken flows");
            for (line, from, to) in [
                (there, "cluster1", "cluster2"),
                (back, "cluster2", "cluster1"),
            ] {
                let begin = format!(
                    "  requests       {from} -> {to}  N of N requests failed: curl helloworld.sample:5000/hello in Pod sample/curl-"
                );
                let line = line.lines().next().expect("a line");
                // "N of" is not masked.
                let (count, rest) = line.split_once(" of N requests").expect("a count");
                let count = count.rsplit(' ').next().unwrap_or_default();
                assert!(
                    count.parse::<usize>().is_ok_and(|count| count > 0),
                    "{line}"
                );
                let begin = begin.split_once(" of N requests").expect("a count").1;
                assert!(rest.starts_with(begin), "{line}");
                let cause = match from {
                    "cluster1" => said.to_string(),
                    _ => said
                        .replace("cluster1", "X")
                        .replace("cluster2", "cluster1")
                        .replace('X', "cluster2"),
                };
                let end = format!(": curl: (56) Recv failure: Connection reset by peer; {cause}");
                assert!(line.ends_with(&end), "{line}");
            }
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
