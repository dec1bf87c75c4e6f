//! Causes in what runs on home: Kiali and the federating Prometheus.

use serde_json::{Value, json};

use super::federation::rolled_out;
use super::{comes_first, healthy, message};
use crate::support::{Clusters, get, merge, on_an_install, put, scale, until};

const KIALI: &str = "kiali/kiali";
const REMOTES: &str = "kiali/kiali-multi-cluster-secret";

/// Replaces the pod of Kiali, which never returns to a cluster that refused it.
async fn restarted(clusters: &Clusters) {
    let (home, before) = (clusters.home(), deployment(clusters).await);
    let mut after = before.clone();
    after["spec"]["template"]["metadata"]["annotations"]["test/restarted"] = "once".into();
    rolled_out(home, KIALI, after).await;
    rolled_out(home, KIALI, before).await;
}

#[test]
fn cause_29_a_remote_that_kiali_may_not_read() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let (remote, group) = (clusters.remote(), "rbac.authorization.k8s.io/v1");
        let before = get(remote, group, "ClusterRoleBinding", "kiali").await;
        let before = before.expect("a binding");
        let none = json!({"subjects": null});
        merge(remote, group, "ClusterRoleBinding", "kiali", &none).await;
        let cause = comes_first(clusters, "AK1517", Some("cluster2")).await;
        let seen = message(&cause);
        assert!(seen.contains("forbidden"), "{seen}");
        put(remote, before).await;
        restarted(clusters).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_30_a_kiali_that_does_not_run() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        scale(clusters.home(), KIALI, 0).await;
        let cause = comes_first(clusters, "AK1519", Some("cluster1")).await;
        assert_eq!(
            cause["message"],
            "no pod of Kiali is ready; Deployment kiali/kiali: scaled to 0"
        );
        scale(clusters.home(), KIALI, 1).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_31_a_federating_prometheus_that_does_not_run() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        scale(clusters.home(), "kiali/prometheus", 0).await;
        let cause = comes_first(clusters, "AK1518", Some("cluster1")).await;
        assert_eq!(
            cause["message"],
            "no pod of the federating Prometheus is ready; Deployment kiali/prometheus: scaled to 0"
        );
        scale(clusters.home(), "kiali/prometheus", 1).await;
        healthy(clusters).await;
    });
}

#[test]
fn cause_32_a_kiali_that_asks_another_prometheus() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let before = deployment(clusters).await;
        let asks = async |url: &str| {
            let rolled = last_rolled(clusters).await;
            let change = json!({"spec": {"external_services": {"prometheus": {"url": url}}}});
            merge(
                clusters.home(),
                "kiali.io/v1alpha1",
                "Kiali",
                KIALI,
                &change,
            )
            .await;
            rolled
        };
        let rolled = asks("http://me:secret@prometheus.istio-system:9090").await;
        let cause = comes_first(clusters, "AK1520", Some("cluster1")).await;
        assert_eq!(
            cause["message"],
            "the Kiali CR has Kiali ask http://prometheus.istio-system:9090 for metrics, and not http://prometheus.kiali:9090"
        );
        is_rolled(clusters, rolled).await;
        let rolled = asks("http://prometheus.kiali:9090").await;
        is_rolled(clusters, rolled).await;
        serves_again(clusters, before).await;
    });
}

#[test]
fn cause_33_a_remote_that_kiali_does_not_know() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let home = clusters.home();
        let before = deployment(clusters).await;
        let secret = get(home, "v1", "Secret", REMOTES).await;
        let secret = secret.expect("a Secret");
        let rolled = last_rolled(clusters).await;
        let none = json!({"data": {"cluster2": Value::Null}});
        merge(home, "v1", "Secret", REMOTES, &none).await;
        comes_first(clusters, "AK1523", Some("cluster2")).await;
        is_rolled(clusters, rolled).await;
        let rolled = last_rolled(clusters).await;
        put(home, secret).await;
        is_rolled(clusters, rolled).await;
        serves_again(clusters, before).await;
    });
}

async fn deployment(clusters: &Clusters) -> Value {
    let found = get(clusters.home(), "apps/v1", "Deployment", KIALI).await;
    found.expect("a Deployment")
}

/// When the operator rolled Kiali.
async fn last_rolled(clusters: &Clusters) -> Value {
    let template = &deployment(clusters).await["spec"]["template"]["metadata"];
    template["annotations"]["operator.kiali.io/last-updated"].clone()
}

async fn is_rolled(clusters: &Clusters, before: Value) {
    until("the operator has rolled Kiali", async || {
        last_rolled(clusters).await != before
    })
    .await;
}

/// Undoes what the operator wrote into the Deployment.
async fn serves_again(clusters: &Clusters, before: Value) {
    rolled_out(clusters.home(), KIALI, before).await;
    healthy(clusters).await;
}
