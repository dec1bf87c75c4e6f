//! A federation that is `up` and brings nothing, and one that is more than is let through.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use crate::support::{Clusters, get, masked, on_two_clusters, patch, scale};

const VERIFY: [&str; 3] = ["verify", "--traffic", "none"];

/// A Prometheus with a changed configuration, and what it was.
async fn reconfigured(
    cluster: &Cluster,
    (map, deployment): (&str, &str),
    change: impl FnOnce(&mut Value),
) -> String {
    let live = get(cluster, "v1", "ConfigMap", map).await;
    let live = live.expect("a configuration");
    let before = live["data"]["prometheus.yml"].as_str().expect("text");
    let mut config: Value = serde_yaml::from_str(before).expect("YAML");
    change(&mut config);
    written(cluster, (map, deployment), &config.to_string()).await;
    before.into()
}

/// Prometheus reads it at its start.
async fn written(cluster: &Cluster, (map, deployment): (&str, &str), text: &str) {
    let data = json!({"data": {"prometheus.yml": text}});
    patch(cluster, "v1", "ConfigMap", map, &data).await;
    scale(cluster, deployment, 0).await;
    scale(cluster, deployment, 1).await;
}

/// The lines of verify about scrape targets.
async fn targets(clusters: &Clusters) -> String {
    let ended = clusters.run(&VERIFY).await.exited(5);
    let masked = masked(&ended.stdout);
    let lines = masked
        .lines()
        .filter(|line| line.contains("  scrape target  "));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn fault_52_a_federation_that_brings_no_series_is_no_success() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let edge = ("istio-system/prometheus", "istio-system/prometheus");
        let before = reconfigured(clusters.remote(), edge, |config| {
            let jobs = config["scrape_configs"].as_array_mut().expect("jobs");
            jobs.retain(|job| job["job_name"] != "kubernetes-pods");
        })
        .await;
        assert_eq!(
            targets(clusters).await,
            "\
ok        scrape target  cluster1      http://ADDRESS:9090/federate up
broken    scrape target  cluster2      http://ADDRESS:9090/federate is up but sends no series: the Prometheus of cluster2 has none of job kubernetes-pods, by which it must scrape ztunnels and waypoints
"
        );
        written(clusters.remote(), edge, &before).await;
        clusters.run(&VERIFY).await.succeeded();
        clusters.installed().await;
        clusters.cleaned().await;
    });
}

#[test]
fn fault_53_a_federation_that_is_too_slow_or_too_big_is_told_with_its_own_error() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let federating = ("kiali/prometheus-config", "kiali/prometheus");
        let before = reconfigured(clusters.home(), federating, |config| {
            config["scrape_configs"][0]["scrape_timeout"] = json!("1ms");
            config["scrape_configs"][1]["body_size_limit"] = json!("1KB");
        })
        .await;
        assert_eq!(
            targets(clusters).await,
            "\
broken    scrape target  cluster1      http://ADDRESS:9090/federate is down: context deadline exceeded; Deployment istio-system/prometheus of cluster1 needs more CPU, or fewer series to keep
broken    scrape target  cluster2      http://ADDRESS:9090/federate is down: body size limit exceeded; Deployment istio-system/prometheus of cluster2 keeps more series than the limit in ConfigMap prometheus-config lets through
"
        );
        written(clusters.home(), federating, &before).await;
        clusters.run(&VERIFY).await.succeeded();
        clusters.installed().await;
        clusters.cleaned().await;
    });
}
