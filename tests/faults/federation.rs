//! A federation that is `up` without series, and one that exceeds the limits.

use ambikiali_sandbox::Cluster;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::support::web_server::{WebServer, page};
use crate::support::{
    Clusters, from_an_install, get, masked, on_two_clusters, patch, until, unwritten,
};

const VERIFY: [&str; 3] = ["verify", "--probes", "none"];

/// Changes a configuration and restarts its Prometheus.
async fn reconfigured(cluster: &Cluster, map: &str, pods: &str, change: impl FnOnce(&mut Value)) {
    let live = get(cluster, "v1", "ConfigMap", map).await;
    let live = live.expect("a configuration");
    let text = live["data"]["prometheus.yml"].as_str().expect("text");
    let mut config: Value = serde_yaml::from_str(text).expect("YAML");
    change(&mut config);
    let data = json!({"data": {"prometheus.yml": config.to_string()}});
    patch(cluster, "v1", "ConfigMap", map, &data).await;
    let namespace = map.split('/').next().expect("a namespace");
    let api = Api::<Pod>::namespaced(cluster.client(), namespace);
    let list = ListParams::default().labels(pods);
    let old = api.list(&list).await.expect("pods").items;
    let old = old.into_iter().filter_map(|pod| pod.metadata.name);
    let old = old.collect::<Vec<_>>();
    for name in &old {
        let asked = api.delete(name, &DeleteParams::default()).await;
        asked.expect("a pod that goes");
    }
    until("another pod is ready", async || {
        let pods = api.list(&list).await.expect("pods").items;
        let names = pods.iter().filter_map(|pod| pod.metadata.name.as_ref());
        names.clone().count() == 1
            && names.clone().all(|name| !old.contains(name))
            && pods.iter().all(is_ready)
    })
    .await;
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|c| c.type_ == "Ready" && c.status == "True")
}

/// Checks that an install reverts the edit and restarts the Prometheus.
async fn mended(clusters: &Clusters) {
    clusters.installed().await;
    clusters.run(&VERIFY).await.succeeded();
    let marks = clusters.marks();
    clusters.installed().await;
    unwritten(&marks);
    clusters.cleaned().await;
}

/// Returns the lines of `verify` about scrape targets.
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
    from_an_install(async |clusters| {
        let (map, pods) = (
            "istio-system/prometheus",
            "app.kubernetes.io/name=prometheus",
        );
        reconfigured(clusters.remote(), map, pods, |config| {
            let jobs = config["scrape_configs"].as_array_mut().expect("jobs");
            jobs.retain(|job| job["job_name"] != "kubernetes-pods");
        })
        .await;
        assert_eq!(
            targets(clusters).await,
            "\
ok        scrape target  cluster1      https://ADDRESS:9090/federate up
broken    scrape target  cluster2      https://ADDRESS:9090/federate is up but sends no series: the Prometheus of cluster2 has none of the mesh: one of its jobs must scrape ztunnels and waypoints
"
        );
        mended(clusters).await;
    });
}

#[test]
fn fault_53_a_federation_that_is_too_slow_or_too_big_is_told_with_its_own_error() {
    on_two_clusters(async |clusters| {
        let theirs = WebServer::start(page("up 1\n")).await;
        let at = theirs.address.to_string();
        let given = ["--prometheus2", &at];
        clusters.install(&given).await.succeeded();
        let (map, pods) = ("kiali/prometheus-config", "app=prometheus");
        reconfigured(clusters.home(), map, pods, |config| {
            config["scrape_configs"][0]["body_size_limit"] = json!("1KB");
            config["scrape_configs"][1]["scrape_timeout"] = json!("2s");
        })
        .await;
        theirs.is_silent();
        assert_eq!(
            targets(clusters).await,
            "\
broken    scrape target  cluster1      https://ADDRESS:9090/federate is down: body size limit exceeded; Deployment istio-system/prometheus of cluster1 keeps more series than ConfigMap prometheus-config allows
".to_string() + &format!("\
broken    scrape target  cluster2      http://{at}/federate is down: context deadline exceeded; the Prometheus of cluster2 needs more CPU, or fewer series to keep
")
        );
        theirs.answers(page("up 1\n"));
        clusters.install(&given).await.succeeded();
        clusters.run(&VERIFY).await.succeeded();
        clusters.cleaned().await;
    });
}
