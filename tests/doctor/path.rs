//! Causes on the way from one cluster to another.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use super::federation::with_job;
use super::{comes_first, healthy, message};
use crate::support::{Foreign, dead_kubeconfig, get, merge, on_an_install, patch_status, put};

const GATEWAY: &str = "istio-system/istio-eastwestgateway";

/// Sets the label of Istio's namespace with the name of the network, or removes it.
async fn network(cluster: &Cluster, name: Value) {
    let change = json!({"metadata": {"labels": {"topology.istio.io/network": name}}});
    merge(cluster, "v1", "Namespace", "istio-system", &change).await;
}

/// Sets the class of the east-west gateway.
async fn class(cluster: &Cluster, name: &str) {
    let group = "gateway.networking.k8s.io/v1";
    let change = json!({"spec": {"gatewayClassName": name}});
    merge(cluster, group, "Gateway", GATEWAY, &change).await;
}

#[test]
fn cause_17_an_east_west_gateway_without_an_address() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let balancers = &clusters.sandbox.world().load_balancers;
        balancers.hold_back(true);
        let none = json!({"loadBalancer": {"ingress": null}});
        patch_status(clusters.remote(), "v1", "Service", GATEWAY, &none).await;
        let cause = comes_first(clusters, "AK1212", Some("cluster2")).await;
        assert_eq!(
            cause["message"],
            "Gateway istio-system/istio-eastwestgateway has no address: no traffic comes from other clusters"
        );
        balancers.hold_back(false);
        healthy(clusters).await;
    });
}

#[test]
fn cause_18_no_east_west_gateway() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        class(clusters.remote(), "nobodys").await;
        comes_first(clusters, "AK1211", Some("cluster2")).await;
        class(clusters.remote(), "istio-east-west").await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_19_an_istiod_without_a_secret_for_another_cluster() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let secret = "istio-system/istio-remote-secret-cluster2";
        let labelled = async |value: Value| {
            let change = json!({"metadata": {"labels": {"istio/multiCluster": value}}});
            merge(clusters.home(), "v1", "Secret", secret, &change).await;
        };
        labelled(Value::Null).await;
        let cause = comes_first(clusters, "AK1213", Some("cluster1")).await;
        assert_eq!(
            cause["fix"],
            "istioctl create-remote-secret --context OTHER --name cluster2 | kubectl --context cluster1 apply -f -"
        );
        labelled("true".into()).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_20_an_istiod_that_is_not_in_sync_with_another_cluster() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let (remote, name) = (
            clusters.remote(),
            "istio-system/istio-remote-secret-cluster1",
        );
        let before = get(remote, "v1", "Secret", name).await.expect("a Secret");
        let change = json!({"stringData": {"cluster1": dead_kubeconfig("cluster1")}});
        merge(remote, "v1", "Secret", name, &change).await;
        let cause = comes_first(clusters, "AK1214", Some("cluster2")).await;
        let seen = message(&cause);
        let said = "Secret istio-system/istio-remote-secret-cluster1 istiod is not in sync with cluster1 by it: ";
        assert!(seen.starts_with(said), "{seen}");
        put(remote, before).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_21_a_cluster_without_a_network() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        network(clusters.remote(), Value::Null).await;
        comes_first(clusters, "AK1210", Some("cluster2")).await;
        network(clusters.remote(), "network2".into()).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_22_two_clusters_in_one_network() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        network(clusters.remote(), "network1".into()).await;
        comes_first(clusters, "AK1302", Some("cluster2")).await;
        network(clusters.remote(), "network2".into()).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_23_trust_domains_that_differ() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let (remote, name) = (clusters.remote(), "istio-system/istio");
        let before = get(remote, "v1", "ConfigMap", name).await;
        let before = before.expect("a ConfigMap");
        let text = before["data"]["mesh"].as_str().expect("a configuration");
        let mut mesh: Value = serde_yaml::from_str(text).expect("YAML");
        mesh["trustDomain"] = "elsewhere".into();
        let mut changed = before.clone();
        changed["data"]["mesh"] = serde_yaml::to_string(&mesh).expect("YAML").into();
        put(remote, changed).await;
        comes_first(clusters, "AK1304", Some("cluster2")).await;
        put(remote, before).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_24_a_policy_that_denies_the_scrape() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let policy = json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": "closed", "namespace": "istio-system"},
            "spec": {
                "action": "DENY", "rules": [{}],
                "selector": {"matchLabels": {"gateway.networking.k8s.io/gateway-name": "prometheus-gateway"}},
            },
        });
        let policy = Foreign::apply(clusters.remote(), &policy.to_string()).await;
        let cause = comes_first(clusters, "AK1216", Some("cluster2")).await;
        let seen = message(&cause);
        let said = "server returned HTTP status 403 Forbidden";
        assert!(seen.ends_with(said), "{seen}");
        policy.removed().await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_25_a_network_policy_that_blocks_the_gateway() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let policy = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "closed", "namespace": "istio-system"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
        });
        let policy = Foreign::apply(clusters.remote(), &policy.to_string()).await;
        // No network of the sandbox enforces it, so the scrape goes to an address where nothing listens.
        let before = with_job(clusters, |jobs, remote| {
            jobs[remote]["static_configs"][0]["targets"] = json!(["127.0.0.1:1"]);
        })
        .await;
        let cause = comes_first(clusters, "AK1217", Some("cluster2")).await;
        let seen = message(&cause);
        let said = "NetworkPolicy istio-system/closed allows nothing to the Gateway in front of Prometheus, nothing to Prometheus; ";
        assert!(seen.starts_with(said), "{seen}");
        policy.removed().await;
        before.restored(clusters).await;
    });
}
