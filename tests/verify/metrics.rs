//! The path of the metrics, broken at one hop after the other.

use super::WITHOUT_PROBES;
use crate::support::tls_client::{CLIENT_SECRET, Identity, asked};
use crate::support::{
    Clusters, Foreign, masked, on_two_clusters, remove, scale, until, until_exposed,
};

const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";
/// A route that allows more than ours.
const WIDE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: wide, namespace: istio-system}
spec:
  parentRefs: [{name: prometheus-gateway}]
  rules:
    - backendRefs: [{name: prometheus, port: 9090}]
";

#[test]
fn a_broken_hop_of_the_metrics_is_named() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        a_prometheus_that_is_down(clusters).await;
        a_route_that_is_gone(clusters).await;
        a_route_that_lets_too_much_through(clusters).await;
        clusters.cleaned().await;
    });
}

async fn a_prometheus_that_is_down(clusters: &Clusters) {
    scale(clusters.remote(), "istio-system/prometheus", 0).await;
    let broken = clusters.run(&["verify"]).await.exited(5);
    assert_eq!(
        lost(&masked(&broken.stdout)),
        "\
ok        components     cluster1      11 ready
broken    components     cluster2      Deployment istio-system/prometheus: scaled to 0
ok        scrape target  cluster1      https://ADDRESS:9090/federate up
broken    scrape target  cluster2      https://ADDRESS:9090/federate is down: server returned HTTP status 503 Service Unavailable
ok        exposure       cluster1      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
ok        exposure       cluster2      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
ok        remote access  cluster2      Kiali's token works
ok        rights         cluster1      Kiali only looks: the API server denies it 27 of 27 changes asked about
ok        rights         cluster2      Kiali only looks: the API server denies it 27 of 27 changes asked about
ok        kiali          cluster1      sees cluster1, cluster2
from \\ to  cluster1  cluster2
cluster1   ok        metrics
cluster2   metrics   -
broken    metrics        cluster1 -> cluster2  the federating Prometheus has no bytes that ztunnel of cluster2 counts; see scrape target of cluster2
broken    metrics        cluster2 -> cluster1  the federating Prometheus has no bytes that ztunnel of cluster2 counts; see scrape target of cluster2
Not verified in TIME: 2 broken, 8 ok; flows: 2 broken, 1 ok
"
    );
    scale(clusters.remote(), "istio-system/prometheus", 1).await;
}

/// Home may still have series from before the hop broke.
fn lost(lines: &str) -> String {
    let stay =
        "in the federating Prometheus, the bytes that ztunnel of cluster2 counts stay at N B";
    let none = "the federating Prometheus has no bytes that ztunnel of cluster2 counts";
    lines.replace(stay, none)
}

async fn a_route_that_is_gone(clusters: &Clusters) {
    let route = "istio-system/prometheus";
    remove(clusters.remote(), GATEWAY_API, "HTTPRoute", route).await;
    let home = Identity::held(clusters.home(), CLIENT_SECRET, "client").await;
    until("the Gateway has no route", async || {
        asked(clusters.remote(), Some(&home), "/federate").await == Some(404)
    })
    .await;
    let broken = clusters.run(&["verify"]).await.exited(5);
    assert_eq!(
        lost(&masked(&broken.stdout)),
        "\
ok        components     cluster1      11 ready
broken    components     cluster2      HTTPRoute istio-system/prometheus: not found
ok        scrape target  cluster1      https://ADDRESS:9090/federate up
broken    scrape target  cluster2      https://ADDRESS:9090/federate is down: server returned HTTP status 404 Not Found
ok        exposure       cluster1      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
ok        exposure       cluster2      https://ADDRESS:9090 refuses clients without the certificate of the federating Prometheus
ok        remote access  cluster2      Kiali's token works
ok        rights         cluster1      Kiali only looks: the API server denies it 27 of 27 changes asked about
ok        rights         cluster2      Kiali only looks: the API server denies it 27 of 27 changes asked about
ok        kiali          cluster1      sees cluster1, cluster2
from \\ to  cluster1  cluster2
cluster1   ok        metrics
cluster2   metrics   -
broken    metrics        cluster1 -> cluster2  the federating Prometheus has no bytes that ztunnel of cluster2 counts; see scrape target of cluster2
broken    metrics        cluster2 -> cluster1  the federating Prometheus has no bytes that ztunnel of cluster2 counts; see scrape target of cluster2
Not verified in TIME: 2 broken, 8 ok; flows: 2 broken, 1 ok
"
    );
}

async fn a_route_that_lets_too_much_through(clusters: &Clusters) {
    // With mutual TLS, nobody but home would find out.
    clusters.install(&["--exposure", "http"]).await.succeeded();
    let wide = Foreign::apply(clusters.remote(), WIDE).await;
    until_exposed(clusters.remote(), "/api/v1/status/config", 200).await;
    let broken = clusters.run(&WITHOUT_PROBES).await.exited(5);
    assert_eq!(
        masked(&broken.stdout),
        "\
ok        components     cluster1      9 ready
ok        components     cluster2      7 ready
ok        scrape target  cluster1      http://ADDRESS:9090/federate up
ok        scrape target  cluster2      http://ADDRESS:9090/federate up
ok        exposure       cluster1      http://ADDRESS:9090 refuses /api/v1/status/config with 404
broken    exposure       cluster2      http://ADDRESS:9090/api/v1/status/config is open to anyone: a route allows more than GET /federate
ok        remote access  cluster2      Kiali's token works
ok        rights         cluster1      Kiali only looks: the API server denies it 27 of 27 changes asked about
ok        rights         cluster2      Kiali only looks: the API server denies it 27 of 27 changes asked about
ok        kiali          cluster1      sees cluster1, cluster2
skipped   flow           all           disabled by --probes none
Not verified in TIME: 1 broken, 1 skipped, 9 ok
"
    );
    wide.removed().await;
}
