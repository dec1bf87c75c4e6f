//! A Kiali CR whose `Successful` is about an older state.

use ambikiali_sandbox::Cluster;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde_json::{Value, json};

use crate::support::{from_an_install, get, merge, patch, until};

const API: &str = "kiali.io/v1alpha1";
const CR: &str = "kiali/kiali";

#[test]
fn fault_41_a_success_of_before_the_change_is_not_taken_for_one_of_it() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        stop_operator(home).await;
        let before = successful(home).await;
        // Remove a field that the install restores, which changes the CR.
        let without = json!({"spec": {"deployment": {"probes": null}}});
        merge(home, API, "Kiali", CR, &without).await;
        // The second install changes nothing, and the status is still old.
        for _ in 0..2 {
            let error = clusters.install(&[]).await.exited(1).error();
            let said = "kiali: cluster1: Deployment kiali/kiali-operator cannot start: pod ";
            assert!(error.starts_with(said), "{error}");
            assert!(error.contains(": unschedulable: "), "{error}");
            assert_eq!(successful(home).await, before);
        }
        let status = clusters.run(&["status"]).await.exited(1).stdout;
        let line = "not ready  Kiali kiali/kiali: the operator has not picked up the change yet\n";
        assert!(status.contains(line), "{status}");

        cordon(home, false).await;
        clusters.installed().await;
        assert_ne!(successful(home).await, before);
        let kiali = get(home, "apps/v1", "Deployment", "kiali/kiali").await;
        let kiali = kiali.expect("Kiali");
        let container = &kiali["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["startupProbe"]["initialDelaySeconds"], 2);
        clusters.cleaned().await;
    });
}

async fn cordon(cluster: &Cluster, on: bool) {
    let node = format!("{}-node", cluster.name());
    let spec = json!({"spec": {"unschedulable": on}});
    patch(cluster, "v1", "Node", &node, &spec).await;
}

/// Removes the operator's pod and prevents new ones.
async fn stop_operator(cluster: &Cluster) {
    cordon(cluster, true).await;
    let pods = Api::<Pod>::namespaced(cluster.client(), "kiali");
    let of_operator = ListParams::default().labels("app.kubernetes.io/name=kiali-operator");
    let old = pods.list(&of_operator).await.expect("pods").items;
    let old = old.into_iter().filter_map(|pod| pod.metadata.name);
    for name in old.collect::<Vec<_>>() {
        let asked = pods.delete(&name, &DeleteParams::default()).await;
        asked.expect("a pod that goes");
        until("the operator's pod is gone", async || {
            pods.get_opt(&name).await.expect("an answer").is_none()
        })
        .await;
    }
}

/// Returns the completion time of the successful run in the CR's status.
async fn successful(cluster: &Cluster) -> Value {
    let cr = get(cluster, API, "Kiali", CR).await.expect("the CR");
    let conditions = cr["status"]["conditions"].as_array().expect("conditions");
    let condition = |name: &str| conditions.iter().find(|c| c["type"] == name);
    assert_eq!(condition("Successful").expect("one")["status"], "True");
    condition("Running").expect("one")["ansibleResult"]["completion"].clone()
}
