//! GET /api, /api/status, /api/config and /api/namespaces.

use futures::future::join_all;
use k8s_openapi::api::core::v1::Service;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Map, Value, json};

use super::Kiali;
use super::clusters::Cluster;
use super::mesh::{ambient, is_ambient};

/// Silently leaves out clusters that do not answer.
pub(super) async fn status(kiali: &Kiali) -> Value {
    let versions = join_all(
        kiali
            .clusters
            .all()
            .map(|c| async move { (c, c.version().await) }),
    );
    let (versions, prometheus) = tokio::join!(versions, kiali.prometheus.version());
    let clusters = versions.into_iter().filter_map(|(cluster, version)| {
        let name = format!("Kubernetes-{}", cluster.key);
        Some(json!({"name": name, "version": version?, "tempoConfig": {}}))
    });
    let prometheus =
        prometheus.map(|v| json!({"name": "Prometheus", "version": v, "tempoConfig": {}}));
    json!({
        "status": {
            "Kiali state": "running",
            "Kiali version": kiali.version,
            "Kiali container version": kiali.version,
            "Kiali commit hash": "sandbox",
            "Disabled features": "[]",
        },
        "externalServices": clusters.chain(prometheus).collect::<Vec<_>>(),
        "warningMessages": [],
        "istioEnvironment": {"istioAPIEnabled": true},
    })
}

/// `accessible` only says that a client was created, so it is always true.
pub(super) async fn config(kiali: &Kiali) -> Value {
    let instances = join_all(
        kiali
            .clusters
            .all()
            .map(|c| async move { (c, instances(c, kiali).await) }),
    );
    let (instances, ambient, prometheus) =
        tokio::join!(instances, ambient(kiali), kiali.prometheus.settings());
    let (mut clusters, mut planes) = (Map::new(), Map::new());
    for (cluster, instances) in instances {
        let about = json!({
            "accessible": true,
            "apiEndpoint": cluster.server,
            "isKialiHome": cluster.secret.is_empty(),
            "kialiInstances": instances,
            "name": cluster.key,
            "secretName": cluster.secret,
        });
        clusters.insert(cluster.key.clone(), about);
        let istiod = cluster.istiods.last();
        if let Some(istiod) = istiod.and_then(|i| i.into_iter().next()) {
            planes.insert(cluster.key.clone(), json!(istiod.namespace));
        }
    }
    let mut config = json!({
        "authStrategy": kiali.config.strategy,
        "clusters": clusters,
        "controlPlanes": planes,
        "prometheus": prometheus,
        "runMode": "app",
    });
    if ambient {
        config["ambientEnabled"] = json!(true);
    }
    config
}

/// Returns the Kialis of a cluster, found by their Services; null without one.
async fn instances(cluster: &Cluster, kiali: &Kiali) -> Option<Vec<Value>> {
    let api: Api<Service> = Api::all(cluster.client.clone());
    let found = api
        .list(&ListParams::default().labels("app.kubernetes.io/part-of=kiali"))
        .await
        .ok()?;
    let found: Vec<Value> = found
        .iter()
        .map(|service| {
            json!({
                "namespace": service.namespace(),
                "serviceName": service.name_any(),
                "operatorResource": "",
                "url": "",
                "version": service.labels().get("app.kubernetes.io/version").unwrap_or(&kiali.version),
            })
        })
        .collect();
    (!found.is_empty()).then_some(found)
}

/// Leaves out a failing remote with a log line. Fails if home fails.
pub(super) async fn namespaces(kiali: &Kiali) -> Result<Value, String> {
    let found = kiali
        .clusters
        .namespaces(|line| kiali.container.log(line))
        .await?;
    let all = found.iter().map(|(cluster, namespace)| {
        let name = namespace.name_any();
        let planes = cluster.istiods.last().unwrap_or_default();
        json!({
            "name": name,
            "cluster": cluster.key,
            "isAmbient": is_ambient(namespace.labels()),
            "isControlPlane": planes.iter().any(|istiod| istiod.namespace == name),
            "labels": namespace.labels(),
            "annotations": namespace.annotations(),
            "revision": namespace.labels().get("istio.io/rev").map_or("", String::as_str),
        })
    });
    Ok(Value::Array(all.collect()))
}
