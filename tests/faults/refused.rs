//! Refused before the first write.

use serde_json::json;

use crate::support::{Clusters, on_two_clusters, patch};

const ISTIOD: (&str, &str, &str) = ("apps/v1", "Deployment", "istio-system/istiod");

/// Runs an install with these arguments, which must exit with 3 and write nothing; its error.
async fn refused(clusters: &Clusters, arguments: &[&str]) -> String {
    let marks = clusters.marks();
    let ended = clusters.run(&[&["install"], arguments].concat()).await;
    let ended = ended.exited(3);
    assert_eq!(ended.stdout, "");
    for mark in marks {
        let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
        assert_eq!(writes.len(), 0, "{writes:#?}");
    }
    ended.error()
}

async fn called(clusters: &Clusters, id: &str) {
    let env = json!([{"name": "CLUSTER_ID", "value": id}]);
    let container = json!([{"name": "discovery", "env": env}]);
    let change = json!({"spec": {"template": {"spec": {"containers": container}}}});
    patch(clusters.remote(), ISTIOD.0, ISTIOD.1, ISTIOD.2, &change).await;
}

const BOTH: [&str; 5] = [
    "--ctx1",
    "cluster1",
    "--ctx2",
    "cluster2",
    "--allow-loopback",
];

#[test]
fn a_loopback_address_for_pods_is_refused_with_the_flag_that_names_another() {
    on_two_clusters(async |clusters| {
        assert_eq!(
            refused(clusters, &BOTH[..4]).await,
            "\
cluster2: context cluster2 says its API server is at https://127.0.0.1:PORT, which inside a pod of cluster1 is the pod itself
  fix: name the address that pods of home reach: --api-server2 https://HOST:PORT
"
        );
        let unspecified = [&BOTH[..4], &["--api-server2", "https://0.0.0.0:6443"]].concat();
        assert_eq!(
            refused(clusters, &unspecified).await,
            "\
cluster2: context cluster2 says its API server is at https://0.0.0.0:6443, which inside a pod of cluster1 is the pod itself
  fix: name the address that pods of home reach: --api-server2 https://HOST:PORT
"
        );
    });
}

#[test]
fn one_cluster_twice_is_refused() {
    on_two_clusters(async |clusters| {
        assert_eq!(
            refused(clusters, &["--ctx1", "cluster1", "--ctx2", "cluster1"]).await,
            "\
contexts cluster1 and cluster1 are the same cluster
  fix: name two different clusters: kubectl config get-contexts
"
        );
    });
}

#[test]
fn cluster_ids_that_kiali_cannot_tell_apart_or_use_are_refused() {
    on_two_clusters(async |clusters| {
        called(clusters, "cluster1").await;
        let equal = refused(clusters, &BOTH).await;
        called(clusters, "Kubernetes").await;
        let bad = refused(clusters, &BOTH).await;
        called(clusters, "cluster2").await;
        assert_eq!(
            equal,
            "\
contexts cluster1 and cluster2 have the same Istio cluster id \"cluster1\": Kiali cannot tell them apart
  fix: set values.global.multiCluster.clusterName on one of them and install its istiod again
"
        );
        assert_eq!(
            bad,
            "\
context cluster2: cluster id \"Kubernetes\" is not a DNS label (lower-case letters, digits and '-', at most 63)
  fix: set values.global.multiCluster.clusterName to a DNS label and install istiod again
"
        );
    });
}
