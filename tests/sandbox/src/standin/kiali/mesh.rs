//! GET /api/mesh/controlplanes and /api/istio/status: the mesh across all clusters.

use std::collections::BTreeMap;

use futures::future::{join_all, try_join_all};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::Kiali;
use super::clusters::Cluster;

/// GET /api/mesh/controlplanes
pub(super) async fn control_planes(kiali: &Kiali) -> Result<Value, String> {
    let log = |line| kiali.container.log(line);
    let namespaces = kiali.clusters.namespaces(log).await?;
    let asked = kiali
        .clusters
        .all()
        .map(|c| async move { Ok::<_, String>((c, c.istiods(kiali).await?)) });
    let mut planes = Vec::new();
    for (cluster, istiods) in try_join_all(asked).await? {
        for istiod in istiods {
            let managed = namespaces
                .iter()
                .filter(|(of, n)| of.key == istiod.id && is_ambient(n.labels()));
            let managed: Vec<Value> = managed
                .map(|(of, n)| json!({"name": n.name_any(), "cluster": of.key, "labels": n.labels()}))
                .collect();
            planes.push(json!({
                "cluster": {"name": cluster.key, "isKialiHome": cluster.secret.is_empty(),
                    "apiEndpoint": cluster.server, "secretName": cluster.secret, "accessible": true},
                "config": {"network": istiod.network, "meshId": istiod.mesh},
                "externalControlPlane": istiod.id != cluster.key,
                "id": istiod.id,
                "istiodName": istiod.name,
                "istiodNamespace": istiod.namespace,
                "managedClusters": [{"name": istiod.id}],
                "managedNamespaces": managed,
                "revision": istiod.revision,
                "status": istiod.status,
                "version": {"version": istiod.version},
            }));
        }
    }
    Ok(Value::Array(planes))
}

pub(super) fn is_ambient(labels: &BTreeMap<String, String>) -> bool {
    labels
        .get("istio.io/dataplane-mode")
        .is_some_and(|mode| mode == "ambient")
}

/// GET /api/istio/status. Fails for all clusters if one of them fails.
pub(super) async fn components(kiali: &Kiali) -> Result<Value, String> {
    let asked = kiali
        .clusters
        .all()
        .map(|c| async move { Ok::<_, String>((c, c.istiods(kiali).await?, c.gateways().await)) });
    let clusters = try_join_all(asked).await?;
    let mut components = Vec::new();
    for (cluster, istiods, gateways) in clusters {
        if istiods.is_empty() {
            components.push(json!({
                "cluster": cluster.key, "name": "istiod", "status": "NotFound", "isCore": true,
            }));
        }
        for istiod in istiods {
            components.push(json!({
                "cluster": cluster.key, "name": istiod.name, "status": istiod.status, "isCore": true,
                "meshId": istiod.mesh,
            }));
        }
        for (name, status) in gateways {
            components.push(json!({
                "cluster": cluster.key, "name": name, "status": status, "isCore": false,
            }));
        }
    }
    let home = &kiali.clusters.home.key;
    if kiali.config.prometheus.enabled {
        let status = if kiali.prometheus.healthy().await {
            "Healthy"
        } else {
            "Unreachable"
        };
        if kiali.config.dashboards {
            components.push(json!({
                "cluster": home, "name": "custom dashboards", "status": status, "isCore": false,
            }));
        }
        components
            .push(json!({"cluster": home, "name": "prometheus", "status": status, "isCore": true}));
    }
    Ok(Value::Array(components))
}

/// Whether any cluster has a ztunnel.
pub(super) async fn ambient(kiali: &Kiali) -> bool {
    join_all(kiali.clusters.all().map(Cluster::ambient))
        .await
        .contains(&true)
}
