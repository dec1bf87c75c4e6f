//! § Aggregate metrics: the federating Prometheus on home, which scrapes the one of each cluster
//! and is the one that Kiali asks.

mod config;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::{Value, json};

pub use config::{PrometheusConfig, job};

use super::ScrapeTarget;
use crate::images::Images;
use crate::k8s::apply::{self, Applied, Before, Outcome};
use crate::k8s::health::{self, Health};
use crate::k8s::look::{Component, look};
use crate::k8s::request::{Refusal, send_opt};
use crate::k8s::{Scope, delete, kinds, pods, write};
use crate::manifests;
use crate::mesh::ClusterName;
use crate::progress::ObjectId;

const NAME: &str = "prometheus";
const CONFIG: &str = "prometheus-config";
const CONFIG_FILE: &str = "prometheus.yml";
pub const PODS: &str = "app=prometheus";
pub const CONTAINER: &str = "prometheus";
pub const PORT: u16 = 9090;

/// The address that Kiali asks, by the cluster's own DNS.
pub fn url(namespace: &str) -> String {
    format!("http://{NAME}.{namespace}:{PORT}")
}

pub fn objects(
    namespace: &str,
    targets: &[ScrapeTarget],
    images: &Images,
    assigns_users: bool,
) -> Result<Vec<Value>> {
    let config = PrometheusConfig::federating(targets).render()?;
    let hash = manifests::hash(&config);
    let values = json!({
        "namespace": namespace, "config": config, "config_hash": hash, "images": images.values(),
        "pod_user": manifests::pod_user(assigns_users),
    });
    manifests::render(manifests::FEDERATED_PROMETHEUS, values)
}

fn on(scope: &Scope<'_>, targets: &[ScrapeTarget]) -> Result<Vec<Value>> {
    let assigns_users = scope.cluster.assigns_users;
    objects(scope.namespace, targets, scope.images, assigns_users)
}

pub async fn install(scope: &Scope<'_>, targets: &[ScrapeTarget], before: Before) -> Result<()> {
    let applied = applied(scope, targets, before).await?;
    let (api, id) = (deployments(scope), deployment_id(scope));
    pods::rolled_out_with(scope, &api, &applied, id, PODS).await?;
    let summary = apply::summary(&applied);
    scope
        .progress
        .done(format!("{summary}; scrapes {} clusters", targets.len()));
    Ok(())
}

/// Without the jobs of these clusters, whose others it keeps; returns what was written, or would be.
pub async fn take_out(scope: &Scope<'_>, leaving: &[ClusterName]) -> Result<Vec<ObjectId>> {
    let mut targets = config::targets(&config(scope).await?);
    if targets.is_empty() {
        scope.progress.done("nothing there");
        return Ok(Vec::new());
    }
    targets.retain(|target| !leaving.contains(&target.cluster));
    let mut objects = on(scope, &targets)?;
    keep_image(scope, &mut objects).await?;
    let applied = apply::apply_all(scope, &objects, Before::Unknown).await?;
    if !scope.choices.dry_run {
        let api = deployments(scope);
        pods::rolled_out_with(scope, &api, &applied, deployment_id(scope), PODS).await?;
    }
    let done = apply::summary(&applied);
    scope
        .progress
        .done(format!("{done}; scrapes {} clusters", targets.len()));
    let written = applied.iter().filter(|a| a.outcome != Outcome::Unchanged);
    written.map(|a| kinds::id(&a.live)).collect()
}

/// That of the install: whoever removes a remote may not say which it was.
async fn keep_image(scope: &Scope<'_>, objects: &mut [Value]) -> Result<()> {
    const IMAGE: &str = "/spec/template/spec/containers/0/image";
    for object in objects.iter_mut().filter(|o| o["kind"] == "Deployment") {
        let live = write::read(scope, object, &kinds::id(object)?).await?;
        let image = live.as_ref().and_then(|live| live.pointer(IMAGE)).cloned();
        if let (Some(wanted), Some(image)) = (object.pointer_mut(IMAGE), image) {
            *wanted = image;
        }
    }
    Ok(())
}

async fn applied(
    scope: &Scope<'_>,
    targets: &[ScrapeTarget],
    before: Before,
) -> Result<Vec<Applied>> {
    let objects = on(scope, targets)?;
    apply::apply_all(scope, &objects, before).await
}

/// In a dry run: all that `install` would write.
pub async fn foreseen(scope: &Scope<'_>, targets: &[ScrapeTarget], before: Before) -> Result<()> {
    let applied = applied(scope, targets, before).await?;
    pods::foreseen_with(scope, &applied, &deployment_id(scope), PODS).await
}

fn deployments(scope: &Scope<'_>) -> Api<Deployment> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

fn deployment_id(scope: &Scope<'_>) -> ObjectId {
    ObjectId::new("Deployment", scope.namespace, NAME)
}

/// Rolled out, and with the addresses that the Gateways have now: a load balancer may give another one
/// at any time, and nothing else would tell.
pub async fn status(
    scope: &Scope<'_>,
    exposed: impl Future<Output = Vec<ScrapeTarget>>,
) -> Vec<Component> {
    let (api, id) = (deployments(scope), deployment_id(scope));
    let deployment = look(scope, &api, id, health::deployment);
    let (mut server, config, exposed) = tokio::join!(deployment, config(scope), exposed);
    if let (Health::Ready, Ok(config)) = (&server.health, config)
        && let Some(drift) = exposed.iter().find_map(|now| drift(&config, now))
    {
        server.health = Health::InProgress(drift);
    }
    vec![server]
}

/// What is in the ConfigMap, or nothing.
async fn config(scope: &Scope<'_>) -> Result<String, Refusal> {
    let api = Api::<ConfigMap>::namespaced(scope.cluster.client.clone(), scope.namespace);
    let id = ObjectId::new("ConfigMap", scope.namespace, CONFIG);
    let map = send_opt(scope, &id, || api.get(CONFIG)).await?;
    let text = map.and_then(|map| map.data?.remove(CONFIG_FILE));
    Ok(text.unwrap_or_default())
}

fn drift(config: &str, now: &ScrapeTarget) -> Option<String> {
    let (cluster, address) = (&now.cluster, &now.address);
    match config::target(config, cluster) {
        Some(target) if target == *address => None,
        Some(target) => Some(format!(
            "scrapes {cluster} at {target}, but its Gateway's address is {address}: run install again"
        )),
        None => Some(format!("does not scrape {cluster}: run install again")),
    }
}

pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let removed = delete::delete_all(scope, &on(scope, &[])?).await?;
    scope.progress.done(delete::summary(scope, &removed));
    Ok(())
}
