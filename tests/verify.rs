//! `verify` checks every hop, names the broken one, and claims nothing that it did not see.

mod edges;
mod metrics;
mod probes;
mod remotes;
mod shown;

use crate::support::{Clusters, masked, on_two_clusters, scale, unwritten};

/// For cases in which the traffic may or may not be seen in time.
const WITHOUT_TRAFFIC: [&str; 3] = ["verify", "--traffic", "none"];

#[test]
fn every_hop_is_proven_after_an_install_and_nothing_is_written() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let marks = clusters.marks();
        let verified = clusters.run(&["verify"]).await.succeeded();
        assert_eq!(
            whichever_end(&masked(&verified.stdout)),
            "\
ok        components     cluster1      11 ready
ok        components     cluster2      8 ready
ok        scrape target  cluster1      https://ADDRESS:9090/federate up
ok        scrape target  cluster2      https://ADDRESS:9090/federate up
ok        exposure       cluster1      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
ok        exposure       cluster2      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
ok        remote access  cluster2      Kiali's token works
ok        rights         cluster1      Kiali only looks: the API server denies it 27 of 27 changes asked about
ok        rights         cluster2      Kiali only looks: the API server denies it 27 of 27 changes asked about
ok        kiali          cluster1      sees cluster1, cluster2
ok        traffic        cluster1      N requests answered: Hello version: v1, Hello version: v2
ok        metrics        cluster1      received bytes grew by N B
ok        metrics        cluster2      received bytes grew by N B
ok        edge           cluster2      received bytes from cluster1 grew by N B
Verified in TIME: 14 ok
"
        );
        unwritten(&marks);
        without_the_sample(clusters).await;
        clusters.cleaned().await;
    });
}

async fn without_the_sample(clusters: &Clusters) {
    for cluster in clusters.sandbox.clusters() {
        scale(cluster, "sample/curl", 0).await;
    }
    let unproven = clusters.run(&["verify"]).await.exited(5);
    assert_eq!(
        last_lines(&unproven.stdout, 2),
        "\
unproven  traffic        all           no cluster has a ready pod with label app=curl in namespace sample to send requests from; --traffic none skips this
Not verified in TIME: 1 unproven, 10 ok
"
    );
    let without = clusters.run(&WITHOUT_TRAFFIC).await;
    assert_eq!(
        last_lines(&without.succeeded().stdout, 2),
        "\
skipped   traffic        all           disabled by --traffic none
Verified in TIME: 1 skipped, 10 ok
"
    );
    for cluster in clusters.sandbox.clusters() {
        scale(cluster, "sample/curl", 1).await;
    }
}

#[test]
fn counters_that_stand_still_prove_nothing() {
    on_two_clusters(async |clusters| {
        let traffic = &clusters.sandbox.world().traffic;
        // One request to each version, from before the Prometheus servers started.
        for _ in 0..2 {
            traffic.request("cluster1").await.expect("an answer");
        }
        traffic.freeze(true);
        clusters.installed().await;
        let still = clusters.run(&["verify"]).await.exited(5);
        assert_eq!(
            last_lines(&still.stdout, 5),
            "\
ok        traffic        cluster1      N requests answered: Hello version: v1, Hello version: v2
broken    metrics        cluster1      received bytes stayed at N B within 75 s of traffic
broken    metrics        cluster2      received bytes stayed at N B within 75 s of traffic
unproven  edge           cluster2      neither cluster1 nor cluster2 reported anything within 75 s of traffic
Not verified in TIME: 2 broken, 1 unproven, 11 ok
"
        );
        traffic.freeze(false);
        clusters.cleaned().await;
    });
}

/// Masks which end of home's connections grew first. Both are reported by home's ztunnel, but each has a series of
/// its own, and helloworld's version in the other cluster may have answered all requests between two scrapes.
fn whichever_end(lines: &str) -> String {
    lines.replace("bytes of its own requests grew", "received bytes grew")
}

/// The last lines of the output; other tests check the rest.
fn last_lines(stdout: &str, count: usize) -> String {
    let masked = masked(stdout);
    let lines = masked.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(count)..].join("\n") + "\n"
}
