//! Each hop of a flow broken once: that flow names that hop, and no other flow names any.

use ambikiali_sandbox::standin::sample::End;
use serde_json::{Value, json};

use super::{last_lines, without_pods};
use crate::support::{Clusters, get, merge, on_an_install, on_two_clusters, patch, put, until};

const SERVICE: &str = "sample/helloworld";
const KIALI: &str = "kiali.io/v1alpha1";

#[test]
fn a_flow_that_ends_at_a_ztunnel_or_before_is_told() {
    on_an_install(async |clusters| {
        nobody_answers(clusters).await;
        a_sender_that_counts_nothing(clusters).await;
        a_receiver_that_counts_nothing(clusters).await;
    });
}

/// Only pods of its own cluster reach a Service that is not global.
async fn nobody_answers(clusters: &Clusters) {
    let remote = clusters.remote();
    let before = get(remote, "v1", "Service", SERVICE)
        .await
        .expect("a Service");
    let local = json!({"metadata": {"labels": {"istio.io/global": null}}});
    patch(remote, "v1", "Service", SERVICE, &local).await;
    let broken = clusters.run(&["verify"]).await.exited(5);
    let mut service = get(remote, "v1", "Service", SERVICE)
        .await
        .expect("a Service");
    service["metadata"]["labels"] = before["metadata"]["labels"].clone();
    put(remote, service).await;
    assert_eq!(
        last_lines(&broken.stdout, 5),
        "\
from \\ to  cluster1  cluster2
cluster1   ok        requests
cluster2   ok        -
broken    requests       cluster1 -> cluster2  N requests answered, none by cluster2; its Service needs the label istio.io/global=true: kubectl --context cluster2 -n sample get service helloworld --show-labels
Not verified in TIME: 10 ok; flows: 1 broken, 2 ok
"
    );
}

async fn a_sender_that_counts_nothing(clusters: &Clusters) {
    let traffic = &clusters.sandbox.world().traffic;
    traffic.freeze_end("cluster2", End::Source);
    let broken = clusters.run(&["verify"]).await.exited(5);
    traffic.freeze(false);
    let lines = without_pods(&last_lines(&broken.stdout, 5));
    assert_eq!(
        lines.replace(": they stayed at N B", ""),
        "\
from \\ to  cluster1  cluster2
cluster1   ok        ok
cluster2   source    -
broken    source         cluster2 -> cluster1  ztunnel of cluster2 counts no bytes to cluster1; look at: kubectl --context cluster2 -n istio-system logs POD
Not verified in TIME: 10 ok; flows: 1 broken, 2 ok
"
    );
}

async fn a_receiver_that_counts_nothing(clusters: &Clusters) {
    let traffic = &clusters.sandbox.world().traffic;
    traffic.freeze_end("cluster2", End::Destination);
    let broken = clusters.run(&["verify"]).await.exited(5);
    traffic.freeze(false);
    let lines = without_pods(&last_lines(&broken.stdout, 5));
    assert_eq!(
        lines.replace(": they stayed at N B", ""),
        "\
from \\ to  cluster1  cluster2
cluster1   ok        destination
cluster2   ok        -
broken    destination    cluster1 -> cluster2  ztunnel of cluster2 counts no bytes from cluster1; look at: kubectl --context cluster2 -n istio-system logs POD
Not verified in TIME: 10 ok; flows: 1 broken, 2 ok
"
    );
}

#[test]
fn a_flow_that_kiali_does_not_see_is_told() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        let before = kiali(clusters).await;
        let url = json!({"spec": {"external_services": {"prometheus": {"url": "http://nowhere.kiali:9090"}}}});
        merge(clusters.home(), KIALI, "Kiali", "kiali/kiali", &url).await;
        until("the operator has rolled Kiali", async || {
            let now = kiali(clusters).await;
            now["metadata"]["generation"] != before["metadata"]["generation"]
                && now["status"]["observedGeneration"] == now["metadata"]["generation"]
                && ["replicas", "updatedReplicas", "readyReplicas"]
                    .iter()
                    .all(|count| now["status"][count] == 1)
        })
        .await;
        let broken = clusters.run(&["verify"]).await.exited(5);
        let last = last_lines(&broken.stdout, 7);
        let (table, lines) = last.split_once("broken  ").expect("a broken flow");
        assert_eq!(
            table,
            "\
from \\ to  cluster1  cluster2
cluster1   kiali     kiali
cluster2   kiali     -
"
        );
        let line = "  kiali          cluster1 -> cluster2  no edge in Kiali's graph within ";
        assert!(lines.contains(line), "{broken:#?}");
        assert!(last.contains("flows: 3 broken\n"), "{broken:#?}");
        clusters.cleaned().await;
    });
}

async fn kiali(clusters: &Clusters) -> Value {
    let kiali = get(clusters.home(), "apps/v1", "Deployment", "kiali/kiali").await;
    kiali.expect("a Deployment")
}
