//! A user's own Prometheus must be scraped successfully.

use crate::support::{Clusters, get, masked, on_two_clusters};

/// Returns the exposed address of home's Prometheus, used as the user's own.
async fn exposed(clusters: &Clusters) -> String {
    let name = "istio-system/prometheus-gateway";
    let gateway = get(
        clusters.home(),
        "gateway.networking.k8s.io/v1",
        "Gateway",
        name,
    )
    .await;
    let gateway = gateway.expect("a Gateway");
    let address = gateway["status"]["addresses"][0]["value"].as_str();
    format!("{}:9090", address.expect("an address"))
}

#[test]
fn fault_56_a_prometheus_that_is_not_there_is_no_success_and_one_that_is_verifies() {
    on_two_clusters(async |clusters| {
        let nothing = ["--prometheus2", "127.0.0.1:1"];
        let ended = clusters.install(&nothing).await.exited(4);
        assert_eq!(
            ended.error(),
            "\
aggregate metrics: cluster2: its Prometheus is not scraped: http://127.0.0.1:1/federate is down: dial tcp 127.0.0.1:1: connect: connection refused
  fix: name the address at which the pods of home reach it: --prometheusN HOST:PORT
"
        );
        let theirs = exposed(clusters).await;
        let ended = clusters.install(&["--prometheus2", &theirs]).await;
        ended.succeeded();
        let verified = clusters.run(&["verify"]).await.succeeded();
        let shown = masked(&verified.stdout);
        let skipped =
            "skipped   exposure       cluster2      its Prometheus is not managed by ambikiali\n";
        assert!(shown.contains(skipped), "{shown}");
        assert!(shown.ends_with("1 skipped, 11 ok\n"), "{shown}");
        clusters.cleaned().await;
    });
}
