//! The control planes of each cluster, each asked whether it is ready through its API server.

use std::future::pending;

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use super::Kiali;
use super::clusters::{CACHED, Cluster, cluster_id};
use super::forward::get;

#[derive(Clone, Debug)]
pub(super) struct Istiod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) mesh: Value,
    id: String,
    revision: String,
    network: Value,
    version: String,
}

impl Cluster {
    /// What is known for a while, then an error, or nothing ever once the caches are gone.
    pub(super) async fn istiods(&self, kiali: &Kiali) -> Result<Vec<Istiod>, String> {
        self.cache()?;
        let live = match self.is_torn() {
            true => Err("forbidden".into()),
            false => self.live_istiods(kiali).await,
        };
        match live {
            Ok(istiods) => {
                self.istiods.set(&istiods);
                Ok(istiods)
            }
            Err(why) => match self.istiods.younger_than(CACHED) {
                Some(cached) => Ok(cached),
                None if self.is_torn() => pending().await,
                None => Err(why),
            },
        }
    }

    async fn live_istiods(&self, kiali: &Kiali) -> Result<Vec<Istiod>, String> {
        let api: Api<Deployment> = Api::all(self.client.clone());
        let found = api.list(&ListParams::default().labels("app=istiod")).await;
        let found = found.map_err(|e| self.failed(e))?;
        try_join_all(found.iter().map(|istiod| self.istiod(kiali, istiod))).await
    }

    async fn istiod(&self, kiali: &Kiali, istiod: &Deployment) -> Result<Istiod, String> {
        let namespace = istiod.namespace().unwrap_or_default();
        let revision = istiod
            .labels()
            .get("istio.io/rev")
            .cloned()
            .unwrap_or("default".into());
        let suffix = if revision == "default" {
            String::new()
        } else {
            format!("-{revision}")
        };
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &namespace);
        let (mesh, injector) = (
            format!("istio{suffix}"),
            format!("istio-sidecar-injector{suffix}"),
        );
        let (mesh, injector, status) = tokio::join!(
            yaml(&maps, &mesh, "mesh"),
            yaml(&maps, &injector, "values"),
            self.health(kiali, istiod, &namespace),
        );
        let id = cluster_id(istiod).unwrap_or("Kubernetes".into());
        if id != self.key {
            kiali.container.log(format_args!(
                "WRN The controlplane [{}] cluster name ['{id}'] does not match the cluster ['{}'] where it is deployed",
                istiod.name_any(),
                self.key
            ));
        }
        Ok(Istiod {
            name: istiod.name_any(),
            status: status?,
            mesh: mesh["defaultConfig"]["meshId"].clone(),
            id,
            revision,
            network: injector["global"]["network"].clone(),
            version: image_tag(istiod),
            namespace,
        })
    }

    async fn health(
        &self,
        kiali: &Kiali,
        istiod: &Deployment,
        namespace: &str,
    ) -> Result<&'static str, String> {
        let available = istiod.status.as_ref().and_then(|s| s.available_replicas);
        if available.unwrap_or_default() == 0 {
            return Ok("NotReady");
        }
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let found = pods.list(&ListParams::default().labels("app=istiod")).await;
        let found = found.map_err(|e| self.failed(e))?;
        let running = found
            .iter()
            .find(|p| p.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Running"));
        let Some(pod) = running else {
            return Ok("NotReady");
        };
        match get(&pods, &pod.name_any(), 8080, "/ready").await {
            Ok(200) => Ok("Healthy"),
            Ok(_) => Ok("Unhealthy"),
            Err(why) => {
                kiali.container.log(format_args!(
                    "ERR unable to proxy Istiod pods. Make sure your Kubernetes API server has access to the Istio \
                     control plane through 8080 port: {why}"
                ));
                Ok("Unreachable")
            }
        }
    }
}

fn image_tag(istiod: &Deployment) -> String {
    let pod = istiod.spec.template.spec.as_ref();
    let image = pod
        .and_then(|p| p.containers.first())
        .and_then(|c| c.image.as_deref());
    image
        .and_then(|i| i.rsplit_once(':'))
        .map_or("Unknown", |(_, tag)| tag)
        .to_string()
}

/// One entry of a ConfigMap as data; null when it is not there or is none.
async fn yaml(maps: &Api<ConfigMap>, name: &str, key: &str) -> Value {
    let map = maps.get_opt(name).await.ok().flatten();
    let text = map.and_then(|m| m.data?.remove(key)).unwrap_or_default();
    serde_yaml::from_str(&text).unwrap_or_default()
}

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

pub(super) fn is_ambient(labels: &std::collections::BTreeMap<String, String>) -> bool {
    labels
        .get("istio.io/dataplane-mode")
        .is_some_and(|mode| mode == "ambient")
}

/// GET /api/istio/status: one failing cluster fails it for all.
pub(super) async fn components(kiali: &Kiali) -> Result<Value, String> {
    let asked = kiali
        .clusters
        .all()
        .map(|c| async move { Ok::<_, String>((c, c.istiods(kiali).await?)) });
    let clusters = try_join_all(asked).await?;
    let mut components = Vec::new();
    for (cluster, istiods) in clusters {
        if istiods.is_empty() {
            components.push(json!({
                "cluster": cluster.key, "name": "istiod", "status": "NotFound", "isCore": true,
            }));
        }
        for istiod in istiods {
            components.push(json!({
                "cluster": cluster.key, "name": istiod.name, "namespace": istiod.namespace,
                "status": istiod.status, "isCore": true, "meshId": istiod.mesh,
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
