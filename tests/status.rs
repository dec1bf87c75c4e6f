//! `status` without an install, with a complete one, and with a broken one.

use std::time::Duration;

use tokio::time::timeout;

use crate::support::{
    Clusters, Ended, from_an_install, masked, on_two_clusters, remove, scale, unwritten,
};

/// The lines of a healthy home.
const HOME: &str = "\
cluster1      namespace           ready      Namespace kiali
              namespace           ready      ConfigMap kiali/ambikiali-record
              cluster prometheus  ready      Deployment istio-system/prometheus
              expose prometheus   ready      Secret istio-system/prometheus-gateway-tls: its certificates are valid until DAY
              expose prometheus   ready      Gateway istio-system/prometheus-gateway
              expose prometheus   ready      HTTPRoute istio-system/prometheus
              aggregate metrics   ready      Secret kiali/prometheus-tls: its certificates are valid until DAY
              aggregate metrics   ready      Deployment kiali/prometheus
              kiali operator      ready      Deployment kiali/kiali-operator
              remote secret       ready      Secret kiali/kiali-multi-cluster-secret
              kiali               ready      Kiali kiali/kiali
              kiali               ready      Deployment kiali/kiali
";

#[test]
fn every_component_is_shown_and_what_is_broken_with_its_reason() {
    from_an_install(async |clusters| {
        let marks = clusters.marks();
        let whole = clusters.run(&["status"]).await.succeeded();
        assert_eq!(
            masked(&whole.stdout),
            HOME.to_string()
                + "\
cluster2      namespace           ready      Namespace kiali
              namespace           ready      ConfigMap kiali/ambikiali-record
              cluster prometheus  ready      Deployment istio-system/prometheus
              expose prometheus   ready      Secret istio-system/prometheus-gateway-tls: its certificates are valid until DAY
              expose prometheus   ready      Gateway istio-system/prometheus-gateway
              expose prometheus   ready      HTTPRoute istio-system/prometheus
              kiali operator      ready      Deployment kiali/kiali-operator
              remote cluster      ready      Kiali kiali/kiali
              remote cluster      ready      Secret kiali/kiali: the token is N minutes old and never ends
"
        );
        unwritten(&marks);
        broken(clusters).await;
        unreachable(clusters).await;
        clusters.cleaned().await;
    });
}

async fn broken(clusters: &Clusters) {
    let remote = clusters.remote();
    scale(remote, "istio-system/prometheus", 0).await;
    remove(remote, "v1", "Secret", "kiali/kiali").await;
    let broken = clusters.run(&["status"]).await.exited(1);
    assert_eq!(
        masked(&broken.stdout),
        HOME.to_string()
            + "\
cluster2      namespace           ready      Namespace kiali
              namespace           ready      ConfigMap kiali/ambikiali-record
              cluster prometheus  not ready  Deployment istio-system/prometheus: scaled to 0
              cluster prometheus  drifted    Deployment istio-system/prometheus: changed by somebody at TIME: .spec.replicas
              expose prometheus   ready      Secret istio-system/prometheus-gateway-tls: its certificates are valid until DAY
              expose prometheus   ready      Gateway istio-system/prometheus-gateway
              expose prometheus   ready      HTTPRoute istio-system/prometheus
              kiali operator      ready      Deployment kiali/kiali-operator
              remote cluster      ready      Kiali kiali/kiali
              remote cluster      not ready  Secret kiali/kiali: not found
              remote cluster      drifted    Secret kiali/kiali: gone
"
    );
}

async fn unreachable(clusters: &Clusters) {
    let remote = clusters.remote();
    remote.pause_api_server().expect("paused");
    let hanging = soon(clusters).await.exited(1);
    remote.resume_api_server().expect("resumed");
    let why = "no access: context cluster2 at https://127.0.0.1:PORT";
    assert_eq!(
        masked(&hanging.stdout),
        format!("{HOME}cluster2      {why}: no answer in 10 s\n")
    );
    remote.kill_api_server().expect("killed");
    let killed = soon(clusters).await.exited(1);
    remote.restart_api_server().await.expect("back");
    assert_eq!(
        masked(&killed.stdout),
        format!("{HOME}cluster2      {why}: Connection refused\n")
    );
}

/// Runs `status` and checks that it does not hang.
async fn soon(clusters: &Clusters) -> Ended {
    let ended = timeout(Duration::from_secs(30), clusters.run(&["status"])).await;
    ended.expect("an end")
}

#[test]
fn nothing_is_there_before_an_install() {
    on_two_clusters(async |clusters| {
        let arguments = ["status", "--ctx1", "cluster1", "--ctx2", "cluster2"];
        let nothing = clusters.run(&arguments).await.exited(1);
        assert_eq!(
            nothing.stdout,
            "\
cluster1      namespace           not ready  Namespace kiali: not found
              namespace           not ready  ConfigMap kiali/ambikiali-record: not found
              cluster prometheus  not ready  Deployment istio-system/prometheus: not found
              expose prometheus   not ready  Secret istio-system/prometheus-gateway-tls: not found
              expose prometheus   not ready  Gateway istio-system/prometheus-gateway: not found
              expose prometheus   not ready  HTTPRoute istio-system/prometheus: not found
              aggregate metrics   not ready  Secret kiali/prometheus-tls: not found
              aggregate metrics   not ready  Deployment kiali/prometheus: not found
              kiali operator      not ready  Deployment kiali/kiali-operator: not found
              remote secret       not ready  Secret kiali/kiali-multi-cluster-secret: not found
              kiali               not ready  Kiali kiali/kiali: not found
              kiali               not ready  Deployment kiali/kiali: not found
cluster2      namespace           not ready  Namespace kiali: not found
              namespace           not ready  ConfigMap kiali/ambikiali-record: not found
              cluster prometheus  not ready  Deployment istio-system/prometheus: not found
              expose prometheus   not ready  Secret istio-system/prometheus-gateway-tls: not found
              expose prometheus   not ready  Gateway istio-system/prometheus-gateway: not found
              expose prometheus   not ready  HTTPRoute istio-system/prometheus: not found
              kiali operator      not ready  Deployment kiali/kiali-operator: not found
              remote cluster      not ready  Kiali kiali/kiali: not found
              remote cluster      not ready  Secret kiali/kiali: not found
"
        );
        assert_eq!(nothing.stderr, "");
    });
}
