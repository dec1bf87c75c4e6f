//! Parity with the guide: an install creates the objects of the guide, with every field that Kiali, its operator,
//! Istio or Prometheus reads. The tables list intended differences and their reasons.

mod config;
mod kiali;
mod metrics;
mod remote_secret;
mod table;

use serde_json::Value;

use crate::support::{Clusters, get, on_an_install};

#[test]
fn what_the_guide_makes_is_there_or_is_something_else_on_purpose() {
    on_an_install(async |clusters| {
        table::check(clusters, &metrics::everywhere(), &["cluster1", "cluster2"]).await;
        table::check(clusters, &metrics::exposed(), &["cluster1", "cluster2"]).await;
        table::check(clusters, &metrics::on_home(), &["cluster1"]).await;
        table::check(clusters, &kiali::everywhere(), &["cluster1", "cluster2"]).await;
        table::check(clusters, &kiali::on_home(), &["cluster1"]).await;
        table::check(clusters, &kiali::on_remote(), &["cluster2"]).await;
        config::each_cluster_is_scraped_at_its_gateway(clusters).await;
        config::mesh_pods_are_scraped_in_one_job(clusters).await;
        kiali::the_operator_knows_its_pod_and_its_version(clusters).await;
        remote_secret::is_one_with_a_kubeconfig_for_each_remote(clusters).await;
    });
}

async fn there(clusters: &Clusters, cluster: &str, kind: (&str, &str), name: &str) -> Value {
    let cluster = clusters.sandbox.cluster(cluster);
    let found = get(cluster, kind.0, kind.1, name).await;
    found.unwrap_or_else(|| panic!("{}: no {} {name}", cluster.name(), kind.1))
}
