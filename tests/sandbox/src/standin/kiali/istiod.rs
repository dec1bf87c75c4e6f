//! The istiods of one cluster. Their readiness is checked through the API server.

use std::future::pending;

use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::Kiali;
use super::clusters::{CACHED, Cluster, cluster_id};
use super::forward::{allowed, get};

#[derive(Clone, Debug)]
pub(super) struct Istiod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) status: &'static str,
    pub(super) mesh: Value,
    pub(super) id: String,
    pub(super) revision: String,
    pub(super) network: Value,
    pub(super) version: String,
}

impl Cluster {
    /// Returns the cached istiods for a while after a failure, then an error. Never returns once the caches are gone.
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

    /// Returns the Deployments that istiod created for Gateways, and whether they are available.
    pub(super) async fn gateways(&self) -> Vec<(String, &'static str)> {
        let api: Api<Deployment> = Api::all(self.client.clone());
        let of_gateways = ListParams::default().labels("gateway.networking.k8s.io/gateway-name");
        // Errors are ignored here. The istiods come from the same cache, so `istiods` reports them.
        let found = api.list(&of_gateways).await.map_or(Vec::new(), |l| l.items);
        let status = |gateway: &Deployment| match &gateway.status {
            Some(status) if status.available_replicas.unwrap_or_default() > 0 => "Healthy",
            _ => "NotReady",
        };
        found.iter().map(|g| (g.name_any(), status(g))).collect()
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
        let name = pod.name_any();
        let may = allowed(&self.client, namespace).await;
        let asked = match may.map_err(|e| self.failed(e))? {
            true => self.ask(kiali, namespace, &name).await,
            false => Err(format!(
                "cannot create resource pods/portforward in {namespace}"
            )),
        };
        match asked {
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

    async fn ask(&self, kiali: &Kiali, namespace: &str, pod: &str) -> Result<u16, String> {
        let owner = self.owner(&kiali.container).await;
        let owner = owner.ok_or("no cluster of this sandbox")?;
        let pods: Api<Pod> = Api::namespaced(owner.clone(), namespace);
        get(&pods, pod, 8080, "/ready")
            .await
            .map_err(|e| format!("{e:#}"))
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

/// Returns an entry of a ConfigMap as data. Returns null if it is missing or invalid.
async fn yaml(maps: &Api<ConfigMap>, name: &str, key: &str) -> Value {
    let map = maps.get_opt(name).await.ok().flatten();
    let text = map.and_then(|m| m.data?.remove(key)).unwrap_or_default();
    serde_yaml::from_str(&text).unwrap_or_default()
}
