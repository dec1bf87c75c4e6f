//! `estimate`, beside what a federation really brings, and scrapes that take too long.

use std::time::Duration;

use serde_json::Value;

use crate::support::tls_client::page;
use crate::support::web_server::{self, WebServer};
use crate::support::{Clusters, from_an_install, masked, until};

const SERIES: &str = "istio_build{component=\"ztunnel\",instance=\"a\"} 1\n";
/// More than half of the timeout of 5 s, and less than all of it.
const SLOW: Duration = Duration::from_secs(3);

#[test]
fn an_estimate_is_what_a_pull_brings_and_a_slow_scrape_is_told() {
    from_an_install(async |clusters| {
        clusters.run(&["verify"]).await.succeeded();
        an_estimate_is_what_a_pull_brings(clusters).await;
        a_slow_scrape_is_told(clusters).await;
        clusters.cleaned().await;
    });
}

async fn an_estimate_is_what_a_pull_brings(clusters: &Clusters) {
    let text = clusters.run(&["estimate"]).await.succeeded().stdout;
    assert!(text.starts_with("CLUSTER       METRICS   SERIES"), "{text}");
    assert!(
        text.ends_with("--metrics core, which is in use (*), fits.\n"),
        "{text}"
    );
    let told = clusters.run(&["estimate", "-o", "json"]).await.succeeded();
    let told: Value = serde_json::from_str(&told.stdout).expect("a document");
    for (cluster, estimate) in [clusters.home(), clusters.remote()].iter().zip(0..) {
        let of_guide = &told["estimates"][estimate]["profiles"][2];
        assert_eq!(of_guide["profile"], "guide");
        let path = "/federate?match[]={job=\"kubernetes-pods\"}";
        let page = page(cluster, clusters.home(), path).await;
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        is_near(&of_guide["series"], lines.count());
        is_near(&of_guide["bytes"], page.len());
    }
}

/// Within a quarter.
fn is_near(told: &Value, real: usize) {
    let told = told.as_f64().expect("a number");
    let ratio = told / real as f64;
    assert!((0.75..=1.25).contains(&ratio), "{told} told, {real} seen");
}

async fn a_slow_scrape_is_told(clusters: &Clusters) {
    clusters.scraped_as_configured(true);
    // A Prometheus that answers late.
    let server = WebServer::start(web_server::page(SERIES)).await;
    server.waits(SLOW);
    let at = server.address.to_string();
    let slow = ["--prometheus2", &at, "--scrape-interval", "5s"];
    clusters.install(&slow).await.succeeded();
    let told = "the scrape of cluster2 takes ";
    until("the scrape took its time", async || {
        let status = clusters.run(&["status"]).await.succeeded().stdout;
        has_line(
            &status,
            &format!("Deployment kiali/prometheus: [AK1470] {told}"),
        )
    })
    .await;
    let check = [
        &[
            "check",
            "--ctx1",
            "cluster1",
            "--ctx2",
            "cluster2",
            "--allow-loopback",
        ][..],
        &slow,
    ]
    .concat();
    let check = clusters.run(&check).await.succeeded().stdout;
    let warning = format!("warning[AK1470]: cluster1: Deployment kiali/prometheus: {told}");
    assert!(has_line(&check, &warning), "{check}");
    let verified = clusters.run(&["verify", "--probes", "none"]).await;
    let verified = verified.stdout.replace(": ambikiali explain AK1470", "");
    assert!(has_line(&verified, "/federate up; it takes "), "{verified}");
    let estimate = clusters.run(&["estimate"]).await.exited(1).stdout;
    let unknown =
        format!("cluster2      unknown: its Prometheus at {at} is outside of the cluster\n");
    assert!(masked(&estimate).contains(&masked(&unknown)), "{estimate}");
    clusters.scraped_as_configured(false);
}

/// A line that tells of the timeout, whatever the scrape took.
fn has_line(text: &str, told: &str) -> bool {
    let mut lines = text.lines();
    lines.any(|line| line.contains(told) && line.contains(" s of its timeout of 5 s"))
}
