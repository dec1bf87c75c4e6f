//! Causes in the federating Prometheus: the names in its series, and how far back they reach.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use super::{comes_first, doctor, healthy, message};
use crate::support::{Clusters, get, on_an_install, put, until};

const SERVER: &str = "kiali/prometheus";
const CONFIG: &str = "kiali/prometheus-config";
const FILE: &str = "prometheus.yml";
/// A name that would format a report.
const HOSTILE: &str = "](https://evil.example) <img src=x> @all `x` **b**";

/// The objects as they were.
pub struct Before {
    config: Value,
    server: Value,
}

/// Changes the job that scrapes the remote, and restarts the server with it.
pub async fn with_job(clusters: &Clusters, change: impl FnOnce(&mut Vec<Value>, usize)) -> Before {
    let home = clusters.home();
    let config = get(home, "v1", "ConfigMap", CONFIG).await;
    let config = config.expect("a ConfigMap");
    let text = config["data"][FILE].as_str().expect("a file");
    let mut parsed: Value = serde_yaml::from_str(text).expect("YAML");
    let jobs = parsed["scrape_configs"].as_array_mut().expect("jobs");
    let of_remote = jobs
        .iter()
        .position(|job| job["job_name"] == "federate-cluster2");
    change(jobs, of_remote.expect("the job of the remote"));
    let mut changed = config.clone();
    changed["data"][FILE] = json!(serde_yaml::to_string(&parsed).expect("YAML"));
    put(home, changed).await;
    let server = with_server(clusters, |pod| {
        pod["metadata"]["annotations"]["test/restarted"] = "once".into();
    })
    .await;
    Before { config, server }
}

/// Changes the template of the pod, and waits until it runs.
async fn with_server(clusters: &Clusters, change: impl FnOnce(&mut Value)) -> Value {
    let server = get(clusters.home(), "apps/v1", "Deployment", SERVER).await;
    let server = server.expect("a Deployment");
    let mut changed = server.clone();
    change(&mut changed["spec"]["template"]);
    rolled_out(clusters.home(), SERVER, changed).await;
    server
}

/// Replaces a Deployment and waits until its only pod runs.
pub async fn rolled_out(cluster: &Cluster, name: &str, server: Value) {
    put(cluster, server).await;
    until("the server is rolled out", async || {
        let now = get(cluster, "apps/v1", "Deployment", name).await;
        let now = now.expect("a Deployment");
        let status = &now["status"];
        let counts = ["replicas", "updatedReplicas", "readyReplicas"];
        status["observedGeneration"] == now["metadata"]["generation"]
            && counts.iter().all(|count| status[count] == 1)
    })
    .await;
}

impl Before {
    pub async fn restored(self, clusters: &Clusters) {
        put(clusters.home(), self.config).await;
        rolled_out(clusters.home(), SERVER, self.server).await;
        healthy(clusters).await;
    }
}

/// Gives the series of a job this label `cluster`, or none.
fn name(job: &mut Value, name: Option<&str>) {
    job["static_configs"][0]["labels"] = match name {
        Some(name) => json!({"cluster": name}),
        None => json!({}),
    };
    let rules = job["metric_relabel_configs"].as_array_mut().expect("rules");
    rules.retain(|rule| rule["target_label"] != "cluster");
    if let Some(name) = name {
        rules.push(json!({"target_label": "cluster", "replacement": name}));
    }
}

#[test]
fn cause_06_series_without_the_label_cluster() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let before = with_job(clusters, |jobs, remote| name(&mut jobs[remote], None)).await;
        let cause = comes_first(clusters, "AK1505", Some("cluster2")).await;
        let seen = message(&cause);
        let said = " series of Istio in the federating Prometheus have no label cluster";
        assert!(seen.ends_with(said), "{seen}");
        before.restored(clusters).await;
    });
}

#[test]
fn cause_07_two_jobs_of_one_cluster() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let before = with_job(clusters, |jobs, remote| {
            let mut again = jobs[remote].clone();
            again["job_name"] = "federate-again".into();
            jobs.push(again);
        })
        .await;
        let cause = comes_first(clusters, "AK1506", Some("cluster2")).await;
        assert_eq!(
            cause["message"],
            "2 scrape targets of the federating Prometheus have label cluster=\"cluster2\": jobs federate-again, federate-cluster2"
        );
        before.restored(clusters).await;
    });
}

#[test]
fn cause_08_a_cluster_with_another_name_in_the_metrics() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let change = |jobs: &mut Vec<Value>, remote: usize| name(&mut jobs[remote], Some(HOSTILE));
        let before = with_job(clusters, change).await;
        let cause = comes_first(clusters, "AK1507", Some("cluster2")).await;
        let seen = message(&cause);
        let said = ", which is no cluster of this install, and their ztunnels call it \"cluster2\"";
        assert!(seen.ends_with(said), "{seen}");
        let report = doctor(clusters, &["-o", "markdown"]).await.exited(5).stdout;
        for raw in ["](https", "<img", "@all", "`x`", "**b**"] {
            assert!(!report.contains(raw), "{raw}: {report}");
        }
        before.restored(clusters).await;
    });
}

#[test]
fn cause_34_a_limit_that_a_scrape_exceeds() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let limit = |jobs: &mut Vec<Value>, remote: usize| jobs[remote]["sample_limit"] = 1.into();
        let before = with_job(clusters, limit).await;
        let cause = comes_first(clusters, "AK1521", Some("cluster2")).await;
        let seen = message(&cause);
        assert!(seen.ends_with(" is down: sample limit exceeded"), "{seen}");
        before.restored(clusters).await;
    });
}

#[test]
fn cause_16_metrics_that_are_kept_for_less_than_the_window() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let server = with_server(clusters, |pod| {
            let arguments = pod["spec"]["containers"][0]["args"].as_array_mut();
            let arguments = arguments.expect("arguments");
            arguments.retain(|one| !one.to_string().contains("retention"));
            arguments.push("--storage.tsdb.retention.time=30s".into());
        })
        .await;
        let cause = comes_first(clusters, "AK1512", None).await;
        assert_eq!(
            cause["message"],
            "the federating Prometheus keeps metrics for 30s, and the window is 1m"
        );
        rolled_out(clusters.home(), SERVER, server).await;
        let short = clusters.run(&["doctor", "--since", "20s"]).await.exited(5);
        let said = "the window is 20s, and a rate needs two scrapes, which are 15 s apart";
        assert!(short.stdout.contains(said), "{short:#?}");
        healthy(clusters).await;
    });
}
