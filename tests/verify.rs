//! `verify` checks every hop, names the broken one, and claims nothing that it did not see.

mod broken;
mod edges;
mod fleet;
mod metrics;
mod probes;
mod remotes;
mod report;
mod shown;

use crate::output::schema;
use crate::support::{Clusters, masked, on_two_clusters, scale, unwritten};

/// For cases in which the traffic may or may not be seen in time.
const WITHOUT_PROBES: [&str; 3] = ["verify", "--probes", "none"];

#[test]
fn every_hop_is_proven_after_an_install_and_nothing_is_written() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let marks = clusters.marks();
        let verified = clusters.run(&["verify"]).await.succeeded();
        assert_eq!(
            masked(&verified.stdout),
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
from \\ to  cluster1  cluster2
cluster1   ok        ok
cluster2   ok        -
Verified in TIME: 10 ok; flows: 3 ok
"
        );
        each_hop_has_its_figures(clusters).await;
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
        last_lines(&unproven.stdout, 7),
        "\
from \\ to  cluster1  cluster2
cluster1   unproven  unproven
cluster2   unproven  -
unproven  requests       cluster1 -> cluster1  cluster1: no ready pod with label app=curl in namespace sample to send requests from; --probes own brings a client and a server, and --probes none skips this
unproven  requests       cluster1 -> cluster2  cluster1: no ready pod with label app=curl in namespace sample to send requests from; --probes own brings a client and a server, and --probes none skips this
unproven  requests       cluster2 -> cluster1  cluster2: no ready pod with label app=curl in namespace sample to send requests from; --probes own brings a client and a server, and --probes none skips this
Not verified in TIME: 10 ok; flows: 3 unproven
"
    );
    let without = clusters.run(&WITHOUT_PROBES).await;
    assert_eq!(
        last_lines(&without.succeeded().stdout, 2),
        "\
skipped   flow           all           disabled by --probes none
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
        for from in ["cluster1", "cluster1", "cluster2", "cluster2"] {
            traffic.request(from).await.expect("an answer");
        }
        traffic.freeze(true);
        clusters.installed().await;
        let still = clusters.run(&["verify"]).await.exited(5);
        assert_eq!(
            without_pods(&last_lines(&still.stdout, 7)),
            "\
from \\ to  cluster1  cluster2
cluster1   source    source
cluster2   source    -
broken    source         cluster1 -> cluster1  ztunnel of cluster1 counts no bytes to cluster1: they stayed at N B; look at: kubectl --context cluster1 -n istio-system logs POD
broken    source         cluster1 -> cluster2  ztunnel of cluster1 counts no bytes to cluster2: they stayed at N B; look at: kubectl --context cluster1 -n istio-system logs POD
broken    source         cluster2 -> cluster1  ztunnel of cluster2 counts no bytes to cluster1: they stayed at N B; look at: kubectl --context cluster2 -n istio-system logs POD
Not verified in TIME: 10 ok; flows: 3 broken
"
        );
        traffic.freeze(false);
        clusters.cleaned().await;
    });
}

/// Masks the names of ztunnel's pods.
fn without_pods(lines: &str) -> String {
    let mask = |line: &str| match line.split_once(" logs ztunnel-") {
        Some((before, _)) => format!("{before} logs POD\n"),
        None => format!("{line}\n"),
    };
    lines.lines().map(mask).collect()
}

/// Every pair of clusters, with what was counted at each hop.
async fn each_hop_has_its_figures(clusters: &Clusters) {
    let verify = ["verify", "--pairs", "all", "-o", "json"];
    let verified = clusters.run(&verify).await.succeeded();
    let document = schema::read("json", &verified).document.expect("one");
    let flows = document["flows"].as_array().expect("flows");
    let pairs = flows
        .iter()
        .map(|flow| format!("{} {}", flow["from"], flow["to"]));
    let pairs = pairs.collect::<Vec<_>>().join(", ").replace('"', "");
    let all = "cluster1 cluster1, cluster1 cluster2, cluster2 cluster1, cluster2 cluster2";
    assert_eq!(pairs, all);
    for flow in flows {
        let hops = flow["hops"].as_array().expect("hops");
        let units = hops
            .iter()
            .map(|hop| (hop["hop"].as_str(), hop["unit"].as_str()));
        assert_eq!(
            units.collect::<Vec<_>>(),
            [
                (Some("requests"), Some("requests")),
                (Some("source ztunnel"), Some("bytes")),
                (Some("destination ztunnel"), Some("bytes")),
                (Some("metrics"), Some("bytes")),
                (Some("kiali"), None),
            ],
            "{flow:#}"
        );
        for hop in hops {
            assert_eq!(hop["verdict"], "ok", "{flow:#}");
            assert!(hop["seconds"].as_f64() > Some(0.0), "{flow:#}");
            assert!(
                hop["unit"].is_null() || hop["count"].as_u64() > Some(0),
                "{flow:#}"
            );
        }
    }
}

/// The last lines of the output; other tests check the rest.
fn last_lines(stdout: &str, count: usize) -> String {
    let masked = masked(stdout);
    let lines = masked.lines().collect::<Vec<_>>();
    lines[lines.len().saturating_sub(count)..].join("\n") + "\n"
}
