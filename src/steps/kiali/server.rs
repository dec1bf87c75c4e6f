//! Kiali's own API, asked through a port-forward. `/healthz` and "accessible" in its configuration
//! say yes to everything; these three answers are what proves that it sees a cluster.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::WEB_ROOT;
use crate::k8s::Scope;
use crate::k8s::forward::{self, Target};
use crate::mesh::ClusterName;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    external_services: Vec<ExternalService>,
}

#[derive(Deserialize)]
struct ExternalService {
    name: String,
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(default)]
    cluster: String,
}

/// What keeps Kiali from seeing these clusters, in words; None when it sees them all. Only the first
/// of it: a cluster that it cannot reach has no namespaces either.
pub async fn blind_spot(
    scope: &Scope<'_>,
    target: &Target,
    clusters: &[ClusterName],
    patience: Duration,
) -> Option<String> {
    let path = |path: &str| format!("{WEB_ROOT}{path}");
    let (status, namespaces, istio) = (
        path("/api/status"),
        path("/api/namespaces"),
        path("/api/istio/status"),
    );
    let (status, namespaces, istio) = tokio::join!(
        forward::get_json::<Status>(scope, target, &status, patience),
        forward::get_json::<Vec<Namespace>>(scope, target, &namespaces, patience),
        forward::get_json::<Value>(scope, target, &istio, patience),
    );
    let failed = |path: &str, error| Some(format!("its {path}: {error:#}"));
    let reached = status.map_or_else(
        |error| failed("/api/status", error),
        |status| unreachable(&status, clusters),
    );
    let listed = namespaces.map_or_else(
        |error| failed("/api/namespaces", error),
        |namespaces| without_namespaces(&namespaces, clusters),
    );
    let known = istio.map_or_else(|error| failed("/api/istio/status", error), |_| None);
    reached.or(listed).or(known)
}

/// Kiali names a cluster only while the cluster's API server answers it.
fn unreachable(status: &Status, clusters: &[ClusterName]) -> Option<String> {
    let named = |c: &&ClusterName| {
        let wanted = format!("Kubernetes-{c}");
        status.external_services.iter().any(|s| s.name == wanted)
    };
    list("it cannot reach", clusters.iter().filter(|c| !named(c)))
}

fn without_namespaces(namespaces: &[Namespace], clusters: &[ClusterName]) -> Option<String> {
    let seen = |c: &&ClusterName| namespaces.iter().any(|n| n.cluster == c.as_str());
    list(
        "it sees no namespace of",
        clusters.iter().filter(|c| !seen(c)),
    )
}

fn list<'a>(what: &str, clusters: impl Iterator<Item = &'a ClusterName>) -> Option<String> {
    let names = clusters.map(ToString::to_string).collect::<Vec<_>>();
    (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn clusters() -> Vec<ClusterName> {
        ["cluster1", "cluster2"]
            .map(|n| ClusterName::new(n).unwrap())
            .into()
    }

    #[test]
    fn a_cluster_is_seen_when_its_server_answered() {
        let status = |names: &[&str]| -> Status {
            let services = names
                .iter()
                .map(|n| json!({"name": n, "version": "v1"}))
                .collect::<Vec<_>>();
            serde_json::from_value(json!({"externalServices": services})).unwrap()
        };
        let both = status(&["Kubernetes-cluster2", "Prometheus", "Kubernetes-cluster1"]);
        assert_eq!(unreachable(&both, &clusters()), None);
        let one = status(&["Kubernetes-cluster1", "Kubernetes-cluster22"]);
        assert_eq!(
            unreachable(&one, &clusters()).as_deref(),
            Some("it cannot reach cluster2")
        );
        assert_eq!(
            unreachable(&status(&[]), &clusters()).as_deref(),
            Some("it cannot reach cluster1, cluster2")
        );
    }

    #[test]
    fn a_cluster_is_seen_when_it_has_namespaces() {
        let namespaces = [Namespace {
            cluster: "cluster1".into(),
        }];
        assert_eq!(
            without_namespaces(&namespaces, &clusters()).as_deref(),
            Some("it sees no namespace of cluster2")
        );
    }
}
