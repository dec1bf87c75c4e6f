//! Causes on the way from the Prometheus of a cluster to home.

use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose::ClientAuth;
use serde_json::{Value, json};

use super::{comes_first, doctor, healthy, is_not_told, message};
use crate::support::tls_client::{CLIENT_SECRET, GATEWAY_SECRET, Identity, asked};
use crate::support::web_server::{WebServer, page};
use crate::support::{
    Clusters, from_an_install, get, masked, merge, on_an_install, patch_status, scale, until,
    unwritten,
};

const SERVICE: &str = "istio-system/prometheus-gateway-istio";

#[test]
fn cause_01_a_scrape_target_that_is_down() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        scale(clusters.remote(), "istio-system/prometheus", 0).await;
        comes_first(clusters, "AK1501", Some("cluster2")).await;
        let marks = clusters.marks();
        let broken = doctor(clusters, &[]).await.exited(5);
        assert_eq!(
            masked(&broken.stdout),
            "\x20\
1. AK1501  cluster2      seen      the federating Prometheus cannot scrape a cluster
    https://ADDRESS:9090/federate is down: server returned HTTP status 503 Service Unavailable; Deployment istio-system/prometheus: scaled to 0
    fix: kubectl --context cluster2 -n istio-system get pods,gateways,httproutes
1 likely cause in TIME; ruled out: 43 of 44
"
        );
        a_report_names_no_address(clusters).await;
        unwritten(&marks);
        scale(clusters.remote(), "istio-system/prometheus", 1).await;
        healthy(clusters).await;
    });
}

async fn a_report_names_no_address(clusters: &Clusters) {
    let report = doctor(clusters, &["-o", "markdown"]).await.exited(5);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        report.stdout,
        format!(
            "\
## ambikiali doctor

- ambikiali {version}
- clusters: cluster1 (home), cluster2 (remote)
- traffic: all, of the last 60 s

### 1. AK1501 the federating Prometheus cannot scrape a cluster (cluster2, seen)

https://ADDRESS/federate is down: server returned HTTP status 503 Service Unavailable; Deployment istio-system/prometheus: scaled to 0

Fix: kubectl --context CONTEXT-OF-cluster2 -n istio-system get pods,gateways,httproutes

### Ruled out

AK1004, AK1208, AK1511, AK1516, AK1514, AK1515, AK1213, AK1214, AK1210, AK1302, AK1211, AK1212, AK1304, AK1508, AK1209, AK1230, AK1522, AK1524, AK1217, AK1216, AK1502, AK1503, AK1521, AK1525, AK1462, AK1469, AK1461, AK1468, AK1518, AK1505, AK1506, AK1507, AK1512, AK1509, AK1510, AK1437, AK1504, AK1523, AK1519, AK1517, AK1463, AK1520, AK1513
"
        )
    );
}

#[test]
fn cause_02_a_gateway_without_an_address() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let balancers = &clusters.sandbox.world().load_balancers;
        balancers.hold_back(true);
        let none = json!({"loadBalancer": {"ingress": null}});
        patch_status(clusters.remote(), "v1", "Service", SERVICE, &none).await;
        let cause = comes_first(clusters, "AK1502", Some("cluster2")).await;
        let seen = message(&cause);
        let said = "Service istio-system/prometheus-gateway-istio has no address";
        assert!(seen.starts_with(said), "{seen}");
        balancers.hold_back(false);
        healthy(clusters).await;
    });
}

#[test]
fn cause_03_certificates_that_do_not_match_or_have_ended() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let remote = clusters.remote();
        let before = get(remote, "v1", "Secret", GATEWAY_SECRET).await;
        let before = before.expect("a Secret")["data"]["ca.crt"].clone();
        let home = Identity::held(clusters.home(), CLIENT_SECRET, "client").await;
        let name = "federating-prometheus.ambikiali.dev";
        for (days, said) in [
            (
                -1,
                "Secret istio-system/prometheus-gateway-tls: ca.crt has expired",
            ),
            (
                9,
                "Secret istio-system/prometheus-gateway-tls: ca.crt is another certificate than",
            ),
        ] {
            let other = Identity::made(name, ClientAuth, days).data();
            trusts(clusters, other.into()).await;
            until("Envoy refuses home", async || {
                asked(remote, Some(&home), "/federate").await.is_none()
            })
            .await;
            let cause = comes_first(clusters, "AK1503", Some("cluster2")).await;
            let seen = message(&cause);
            assert!(seen.starts_with(said), "{seen}");
            trusts(clusters, before.clone()).await;
            until("Envoy lets in home", async || {
                asked(remote, Some(&home), "/federate").await == Some(200)
            })
            .await;
        }
        healthy(clusters).await;
    });
}

async fn trusts(clusters: &Clusters, certificate: Value) {
    let change = json!({"data": {"ca.crt": certificate}});
    merge(clusters.remote(), "v1", "Secret", GATEWAY_SECRET, &change).await;
}

/// A Prometheus of the user's that has more and more to send.
#[test]
fn cause_39_a_scrape_that_exceeds_its_timeout() {
    from_an_install(async |clusters| {
        let series = page("istio_build{component=\"ztunnel\",instance=\"a\"} 1\n");
        let server = WebServer::start(series).await;
        // Of a timeout of 5 s.
        server.waits(Duration::from_secs(3));
        clusters.scraped_as_configured(true);
        let at = server.address.to_string();
        let slow = ["--prometheus2", &at, "--scrape-interval", "5s"];
        clusters.install(&slow).await.succeeded();
        until("two scrapes were in time", async || server.asked() > 3).await;
        server.waits(Duration::from_secs(60));
        let cause = comes_first(clusters, "AK1525", Some("cluster2")).await;
        let seen = message(&cause);
        let said = "is down: context deadline exceeded; a scrape that was in time took 3.";
        assert!(seen.contains(said), "{seen}");
        is_not_told(clusters, "AK1501").await;
        clusters.scraped_as_configured(false);
        clusters.cleaned().await;
    });
}
