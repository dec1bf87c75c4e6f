//! Causes in the workloads of the mesh.

use ambikiali_sandbox::standin::sample::Failure;
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
