//! § Deploy Prometheus in each cluster: it collects the metrics of the ztunnels and waypoints of its cluster. An
//! existing Prometheus Service is used unchanged and never removed.

pub mod ask;
pub mod remote_write;
mod served;

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServicePort};
use kube::Api;
use serde_json::{Value, json};

pub use served::served;

use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::apply::{self, Applied, Before, Claim, Outcome};
use crate::k8s::forward::Target;
use crate::k8s::health;
use crate::k8s::look::{Component, look};
use crate::k8s::record::Key;
use crate::k8s::request::send_opt;
use crate::k8s::{Scope, delete, pods};
use crate::manifests;
use crate::mesh::ClusterName;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::settings::Settings;
use crate::store::{self, Credentials, Store};

const NAME: &str = "prometheus";
pub const PORT: u16 = 9090;
/// Why a Service without `port_of` cannot be used.
pub const UNUSABLE: &str = "has neither port 9090 nor one named http or web";
pub const PODS: &str = "app.kubernetes.io/name=prometheus,app.kubernetes.io/instance=prometheus,app.kubernetes.io/component=server";

pub const CONTAINER: &str = "prometheus-server";
const CONFIG_FILE: &str = "prometheus.yml";

pub fn objects(
    cluster: &ClusterName,
    settings: &Settings,
    assigns_users: bool,
) -> Result<Vec<Value>> {
    let interval = settings.metrics.interval;
    let seconds = |time: Duration| format!("{}s", time.as_secs());
    let mut config = manifests::text(
        manifests::CLUSTER_PROMETHEUS_CONFIG,
        json!({"interval": interval.to_string(), "timeout": seconds(interval.timeout())}),
    )?;
    let store = settings.store.as_ref();
    if let Some(store) = store {
        if !config.ends_with('\n') {
            config.push('\n');
        }
        config += &manifests::to_yaml(&store.remote_write(cluster, settings.metrics))?;
    }
    let secret = store.and_then(|store| store.credentials.as_ref());
    let ca = store.and_then(Store::ca_text);
    let client = store.map(|store| manifests::to_yaml(&store.client()));
    let client = client.transpose()?;
    let read = [Some(&config), client.as_ref(), ca.as_ref()];
    let read = read.into_iter().flatten().map(String::as_str);
    let values = json!({
        "config_hash": manifests::hash(&read.collect::<String>()),
        "config": config, "images": settings.images.values(),
        "store_client_file": store::CLIENT_FILE, "store_client": client,
        "store_ca_file": store::CA_FILE, "store_ca": ca,
        "pod_user": manifests::pod_user(assigns_users), "network_policies": settings.network_policies,
        "read_timeout": format!("--web.read-timeout={}", seconds(interval.idle())),
        "memory": settings.metrics.limits.memory_of_cluster(), "writes": store.is_some(), "store_secret": secret.map(Credentials::secret),
    });
    manifests::render(manifests::CLUSTER_PROMETHEUS, values)
}

/// Cluster-wide objects of an earlier version, whose names other tools use too.
pub fn objects_of_earlier_versions() -> [Value; 2] {
    ["ClusterRoleBinding", "ClusterRole"].map(|kind| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
            "metadata": {"name": NAME},
        })
    })
}

fn on(scope: &Scope<'_>) -> Result<Vec<Value>> {
    let cluster = scope.cluster;
    objects(&cluster.name, scope.settings, cluster.assigns_users)
}

/// With those that only an option adds, and those of earlier versions.
fn ever_on(scope: &Scope<'_>) -> Result<Vec<Value>> {
    let all = scope.settings.with_all_objects();
    let cluster = scope.cluster;
    let mut objects = objects(&cluster.name, &all, cluster.assigns_users)?;
    objects.extend(objects_of_earlier_versions());
    Ok(objects)
}

/// The Prometheus of a cluster, found or created.
pub struct Prometheus {
    /// Port of the Service, for the route.
    pub port: u16,
    /// None if it existed before.
    applied: Option<Vec<Applied>>,
    /// Our own, which stays as it is for now.
    is_left: bool,
}

impl Prometheus {
    /// Our own, as an earlier install made it.
    pub fn left() -> Prometheus {
        Prometheus {
            port: PORT,
            applied: None,
            is_left: true,
        }
    }

    pub fn is_ours(&self) -> bool {
        self.applied.is_some()
    }
}

/// Applies the objects; `serving` waits for them. The route needs only the Service.
pub async fn install(scope: &Scope<'_>, before: Before) -> Result<Prometheus> {
    let wanted = on(scope)?;
    let (service, rest): (Vec<_>, Vec<_>) =
        wanted.iter().cloned().partition(|o| o["kind"] == "Service");
    let own = manifests::of_kind(&service, "Service")?;
    let mut applied = match apply::claim(scope, own, before).await? {
        Claim::Foreign(live) => {
            apply::reuse(scope, own, &live)?;
            let port = port(scope, &serde_json::from_value(live)?)?;
            return Ok(Prometheus {
                port,
                applied: None,
                is_left: false,
            });
        }
        Claim::Created(live) => vec![Applied::new(Outcome::Created, None, live)],
        Claim::Ours(_) => apply::apply_all(scope, &service, before).await?,
    };
    applied.extend(apply::apply_all(scope, &rest, before).await?);
    // Delete them only now, so that the server always has its rights.
    delete::delete_unwanted(scope, ever_on(scope)?, &wanted).await?;
    Ok(Prometheus {
        port: PORT,
        applied: Some(applied),
        is_left: false,
    })
}

/// Waits until our own Prometheus is rolled out. One that was there before is used as it is.
pub async fn serving(scope: &Scope<'_>, prometheus: &Prometheus) -> Result<()> {
    if prometheus.is_left {
        scope
            .progress
            .done("writes to the store until Kiali queries the federation");
        return Ok(());
    }
    let Some(applied) = &prometheus.applied else {
        scope.progress.done(format!(
            "Service {ISTIO_NAMESPACE}/{NAME} was there before, reused"
        ));
        return Ok(());
    };
    let api = deployments(scope);
    pods::rolled_out_with(scope, &api, applied, deployment_id(), PODS).await?;
    scope.progress.done(apply::summary(applied));
    Ok(())
}

/// The ready pod of our own.
pub async fn target(scope: &Scope<'_>) -> Result<Option<Target>> {
    let pod = pods::ready(scope, ISTIO_NAMESPACE, PODS).await?;
    Ok(pod.map(|pod| Target {
        namespace: ISTIO_NAMESPACE.into(),
        pod,
        port: PORT,
    }))
}

/// Whether our own was made to write to a store.
pub async fn writes(scope: &Scope<'_>) -> Result<bool> {
    let api = Api::<ConfigMap>::namespaced(scope.cluster.client.clone(), ISTIO_NAMESPACE);
    let id = ObjectId::new("ConfigMap", ISTIO_NAMESPACE, NAME);
    let Some(map) = send_opt(scope, &id, || api.get(NAME)).await? else {
        return Ok(false);
    };
    let key = Key::named("v1", "ConfigMap", &map.metadata);
    let config = map.data.as_ref().and_then(|data| data.get(CONFIG_FILE));
    let writes = config.is_some_and(|text| text.lines().any(|line| line == "remote_write:"));
    Ok(writes && scope.record.owns(&key, &map.metadata))
}

async fn service(scope: &Scope<'_>) -> Result<Option<Service>> {
    let api = Api::<Service>::namespaced(scope.cluster.client.clone(), ISTIO_NAMESPACE);
    let id = ObjectId::new("Service", ISTIO_NAMESPACE, NAME);
    Ok(send_opt(scope, &id, || api.get(NAME)).await?)
}

/// Whether the Prometheus of a cluster is ours, as far as its Service tells.
pub async fn is_own(scope: &Scope<'_>) -> bool {
    match service(scope).await {
        Ok(Some(service)) => is_ours(scope, &service),
        _ => true,
    }
}

fn is_ours(scope: &Scope<'_>, service: &Service) -> bool {
    let key = Key::named("v1", "Service", &service.metadata);
    scope.record.owns(&key, &service.metadata)
}

fn port(scope: &Scope<'_>, service: &Service) -> Result<u16, Problem> {
    port_of(service).ok_or_else(|| {
        let cause = format!(
            "{}: Service {ISTIO_NAMESPACE}/{NAME} was there before, but {UNUSABLE}",
            scope.cluster.name
        );
        Problem::new(Exit::Conflict, cause).fix(format!(
            "{} -n {ISTIO_NAMESPACE} get service {NAME} -o yaml",
            scope.cluster.kubectl
        ))
    })
}

/// The default port of Prometheus, else the port with an HTTP name.
pub fn port_of(service: &Service) -> Option<u16> {
    let ports = service
        .spec
        .iter()
        .filter_map(|s| s.ports.as_ref())
        .flatten()
        .collect::<Vec<_>>();
    let named = |p: &&&ServicePort| matches!(p.name.as_deref(), Some("http" | "web"));
    let port = ports
        .iter()
        .find(|p| p.port == i32::from(PORT))
        .or_else(|| ports.iter().find(named));
    port.and_then(|p| u16::try_from(p.port).ok())
}

fn deployments(scope: &Scope<'_>) -> Api<Deployment> {
    Api::namespaced(scope.cluster.client.clone(), ISTIO_NAMESPACE)
}

fn deployment_id() -> ObjectId {
    ObjectId::new("Deployment", ISTIO_NAMESPACE, NAME)
}

/// Only the Service of a foreign Prometheus is known.
pub async fn status(scope: &Scope<'_>) -> Vec<Component> {
    match service(scope).await {
        Ok(Some(service)) if !is_ours(scope, &service) => vec![Component::new(
            ObjectId::new("Service", ISTIO_NAMESPACE, NAME),
            health::present(Some(&service)),
        )],
        _ => vec![
            look(
                scope,
                &deployments(scope),
                deployment_id(),
                health::deployment,
            )
            .await,
        ],
    }
}

pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let removed = delete::delete_all(scope, &ever_on(scope)?).await?;
    scope.progress.done(delete::summary(scope, &removed));
    Ok(())
}
