//! Causes in the workloads of the mesh.

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::standin::sample::Failure;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{comes_first, healthy, is_not_told, message};
use crate::support::{Foreign, get, merge, on_an_install, patch, put, until};

#[test]
fn cause_26_a_policy_that_denies_the_traffic() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let policy = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "nobody", "namespace": "sample"}, "spec": {},
        });
        let policy = Foreign::apply(clusters.remote(), &policy.to_string()).await;
        let traffic = &clusters.sandbox.world().traffic;
        traffic.fail(Some(Failure::Deny));
        let said = "AuthorizationPolicy sample/nobody lets nobody reach Service sample/helloworld";
        until("connections are seen to fail", async || {
            let cause = comes_first(clusters, "AK1514", Some("cluster2")).await;
            let seen = message(&cause);
            assert!(seen.starts_with(said), "{seen}");
            cause["likelihood"] == "seen" && seen.contains("connections of other clusters failed")
        })
        .await;
        // What follows from it is not told as another cause.
        is_not_told(clusters, "AK1508").await;
        traffic.fail(None);
        policy.removed().await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_27_a_service_that_is_global_in_one_cluster_only() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let labelled = async |value: Value| {
            let change = json!({"metadata": {"labels": {"istio.io/global": value}}});
            merge(
                clusters.remote(),
                "v1",
                "Service",
                "sample/helloworld",
                &change,
            )
            .await;
        };
        labelled(Value::Null).await;
        let cause = comes_first(clusters, "AK1515", Some("cluster2")).await;
        assert_eq!(
            cause["fix"],
            "kubectl --context cluster2 -n sample label --overwrite service helloworld istio.io/global=true"
        );
        labelled("true".into()).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_28_pods_that_are_kept_out_of_the_mesh() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let (remote, name) = (clusters.remote(), "sample/helloworld-v2");
        let before = get(remote, "apps/v1", "Deployment", name).await;
        let labels = json!({"istio.io/dataplane-mode": "none"});
        let change = json!({"spec": {"template": {"metadata": {"labels": labels}}}});
        patch(remote, "apps/v1", "Deployment", name, &change).await;
        let cause = comes_first(clusters, "AK1516", Some("cluster2")).await;
        let seen = message(&cause);
        let said = "Service sample/helloworld has pods with label istio.io/dataplane-mode=none (1)";
        assert!(seen.starts_with(said), "{seen}");
        put(remote, before.expect("a Deployment")).await;
        healthy(clusters).await;
    });
}

/// There is no istio-cni here, and so no annotation until the test gives it.
#[test]
fn cause_40_pods_whose_traffic_is_not_redirected() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let redirected = async |cluster: &Cluster, value: Value| {
            let pods = Api::<Pod>::namespaced(cluster.client(), "sample");
            let all = ListParams::default().labels("app=helloworld");
            let annotations = json!({"ambient.istio.io/redirection": value});
            let change = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
            for pod in pods.list(&all).await.expect("pods") {
                let name = pod.metadata.name.expect("a name");
                let patched = pods.patch(&name, &PatchParams::default(), &change).await;
                patched.expect("a pod");
            }
        };
        redirected(clusters.home(), "enabled".into()).await;
        let cause = comes_first(clusters, "AK1516", Some("cluster2")).await;
        assert_eq!(
            message(&cause),
            "Service sample/helloworld has pods without annotation ambient.istio.io/redirection=enabled (1), so istio-cni does not redirect their traffic to ztunnel"
        );
        redirected(clusters.remote(), "enabled".into()).await;
        is_not_told(clusters, "AK1516").await;
        for cluster in clusters.sandbox.clusters() {
            redirected(cluster, Value::Null).await;
        }
        healthy(clusters).await;
    });
}

/// There is no waypoint, as far as the metrics tell.
#[test]
fn cause_38_a_waypoint_whose_metrics_are_not_collected() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let remote = clusters.remote();
        let labelled = async |value: Value| {
            let change = json!({"metadata": {"labels": {"istio.io/use-waypoint": value}}});
            merge(remote, "v1", "Service", "sample/helloworld", &change).await;
        };
        labelled("waypoint".into()).await;
        let cause = comes_first(clusters, "AK1524", Some("cluster2")).await;
        let seen = message(&cause);
        let said = "Service sample/helloworld has waypoint waypoint, but there is no series of";
        assert!(seen.starts_with(said), "{seen}");
        labelled(Value::Null).await;
        healthy(clusters).await;
    });
}
