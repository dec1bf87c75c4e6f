//! Causes in the ztunnels.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use super::{Requests, comes_first, healthy, message};
use crate::support::{Clusters, get, merge, on_an_install, put, until};

const ZTUNNEL: &str = "istio-system/ztunnel";

/// Changes the template of ztunnel's pods, and returns the original DaemonSet.
pub async fn changed(cluster: &Cluster, change: impl FnOnce(&mut Value)) -> Value {
    let before = daemon_set(cluster).await;
    let mut after = before.clone();
    change(&mut after["spec"]["template"]);
    replaced(cluster, after).await;
    before
}

/// Replaces the DaemonSet and waits until all its pods are updated.
pub async fn replaced(cluster: &Cluster, set: Value) {
    put(cluster, set).await;
    until("ztunnel is rolled out", async || {
        let now = daemon_set(cluster).await;
        let status = &now["status"];
        let counts = [
            "updatedNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
        ];
        let is_whole = |count: &&str| status[count] == status["desiredNumberScheduled"];
        status["observedGeneration"] == now["metadata"]["generation"] && counts.iter().all(is_whole)
    })
    .await;
}

async fn daemon_set(cluster: &Cluster) -> Value {
    let set = get(cluster, "apps/v1", "DaemonSet", ZTUNNEL).await;
    set.expect("a DaemonSet")
}

/// Makes a cause, and checks that it comes first and what was seen of it.
async fn caused(
    clusters: &Clusters,
    cluster: &Cluster,
    change: impl FnOnce(&mut Value),
    (code, said): (&str, &str),
) {
    // No connection fails because a ztunnel is replaced.
    drop(healthy(clusters).await);
    let before = changed(cluster, change).await;
    let requests = Requests::start(clusters);
    // First by the setting alone, then also by the metrics.
    until("the metrics show it", async || {
        let cause = comes_first(clusters, code, Some(cluster.name())).await;
        let seen = message(&cause);
        cause["likelihood"] == "seen" && seen.ends_with(said)
    })
    .await;
    drop(requests);
    replaced(cluster, before).await;
}

fn old(pod: &mut Value) {
    pod["spec"]["containers"][0]["image"] = json!("docker.io/istio/ztunnel:1.28.3");
}

#[test]
fn cause_09_a_receiver_that_does_not_tell_who_it_is() {
    on_an_install(async |clusters| {
        let hide = |pod: &mut Value| {
            let variables = pod["spec"]["containers"][0]["env"].as_array_mut();
            let variables = variables.expect("variables");
            variables.push(json!({"name": "ENABLE_RESPONSE_BAGGAGE", "value": "false"}));
        };
        let said = "; cluster2 reports traffic from a cluster \"unknown\"";
        caused(clusters, clusters.remote(), hide, ("AK1230", said)).await;
    });
}

#[test]
fn cause_10_an_old_ztunnel_at_the_receiver() {
    on_an_install(async |clusters| {
        let said = "; cluster1 reports traffic to a cluster \"unknown\"";
        caused(clusters, clusters.remote(), old, ("AK1209", said)).await;
    });
}

#[test]
fn cause_11_an_old_ztunnel_at_the_sender() {
    on_an_install(async |clusters| {
        let said = "; cluster1 reports traffic to a cluster \"Kubernetes\"";
        caused(clusters, clusters.home(), old, ("AK1209", said)).await;
    });
}

#[test]
fn cause_35_ztunnels_that_are_not_ready() {
    on_an_install(async |clusters| {
        // Failed connections would stay in the window.
        drop(healthy(clusters).await);
        let remote = clusters.remote();
        let before = daemon_set(remote).await;
        let mut broken = before.clone();
        let variables = broken["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut();
        let neither = json!({"name": "ENABLE_RESPONSE_BAGGAGE", "value": "neither"});
        variables.expect("variables").push(neither);
        // Otherwise, the pods that work stay until the new ones are ready.
        broken["spec"]["updateStrategy"] =
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
        put(remote, broken).await;
        let cause = comes_first(clusters, "AK1208", Some("cluster2")).await;
        assert_eq!(
            cause["message"],
            "DaemonSet istio-system/ztunnel 0 of 1 pods are ready"
        );
        replaced(remote, before).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_36_ztunnels_whose_metrics_are_not_collected() {
    on_an_install(async |clusters| {
        drop(healthy(clusters).await);
        let hide = |pod: &mut Value| {
            pod["metadata"]["annotations"]["prometheus.io/scrape"] = "false".into();
        };
        let before = changed(clusters.remote(), hide).await;
        let requests = Requests::start(clusters);
        comes_first(clusters, "AK1522", Some("cluster2")).await;
        drop(requests);
        replaced(clusters.remote(), before).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_37_a_daemon_set_by_which_kiali_does_not_see_ambient_mode() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let before = daemon_set(clusters.remote()).await;
        let label = "app.kubernetes.io/name";
        let change = json!({"metadata": {"labels": {label: Value::Null}}});
        merge(clusters.remote(), "apps/v1", "DaemonSet", ZTUNNEL, &change).await;
        let cause = comes_first(clusters, "AK1513", Some("cluster2")).await;
        assert_eq!(
            cause["fix"],
            "kubectl --context cluster2 -n istio-system label --overwrite daemonset ztunnel app.kubernetes.io/name=ztunnel"
        );
        put(clusters.remote(), before).await;
        healthy(clusters).await;
    });
}
