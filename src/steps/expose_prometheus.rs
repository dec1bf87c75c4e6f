//! § Expose Prometheus: a Gateway in each cluster, through which the federating Prometheus reaches the Prometheus
//! of that cluster. The route allows `GET /federate` and nothing else.

mod reachable;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::{Value, json};

pub use reachable::reachable;
use reachable::usable;

use super::ScrapeTarget;
use crate::exposure::Exposure;
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::apply::{self, Applied, Before};
use crate::k8s::delete::{self, Removed};
use crate::k8s::health::{self, Gateway, Health, HttpRoute};
use crate::k8s::look::{Component, look};
use crate::k8s::request::send_opt;
use crate::k8s::wait;
use crate::k8s::{Scope, kinds};
use crate::manifests;
use crate::progress::ObjectId;
use crate::settings::Settings;

const GATEWAY: &str = "prometheus-gateway";
/// Name of the Service, and of the Deployment, that istiod creates for the Gateway.
pub const SERVICE: &str = "prometheus-gateway-istio";
const PODS: &str = "gateway.networking.k8s.io/gateway-name=prometheus-gateway";
const ROUTE: &str = "prometheus";
/// Address of a Gateway that has none yet, in a dry run. This name can never exist.
const UNKNOWN: &str = "not-known-yet.invalid";
/// Port of the Gateway's listener.
const PORT: u16 = 9090;

/// `revision` is the revision label that the istiod of the cluster requires, if any.
pub fn objects(
    prometheus_port: u16,
    revision: Option<&str>,
    settings: &Settings,
) -> Result<Vec<Value>> {
    let values = json!({
        "prometheus_port": prometheus_port, "revision": revision,
        "annotations": settings.exposure.annotations, "source_ranges": settings.exposure.source_ranges,
        "network_policies": settings.network_policies,
    });
    manifests::render(manifests::PROMETHEUS_GATEWAY, values)
}

/// Applies the Gateway and its route; `reachable` waits for them.
pub async fn install(
    scope: &Scope<'_>,
    prometheus_port: u16,
    before: Before,
) -> Result<Vec<Applied>> {
    let revision = scope.cluster.revision.label();
    let of = |settings| objects(prometheus_port, revision, settings);
    let wanted = of(scope.settings)?;
    // First the ConfigMap, so that the Gateway never names one that does not exist.
    let (first, rest): (Vec<_>, Vec<_>) = wanted
        .iter()
        .cloned()
        .partition(|object| object["kind"] == "ConfigMap");
    let mut applied = apply::apply_all(scope, &first, before).await?;
    applied.extend(apply::apply_all(scope, &rest, before).await?);
    let possible = of(&scope.settings.with_all_objects())?;
    delete::delete_unwanted(scope, possible, &wanted).await?;
    Ok(applied)
}

fn gateways(scope: &Scope<'_>) -> Api<Gateway> {
    Api::namespaced_with(
        scope.cluster.client.clone(),
        ISTIO_NAMESPACE,
        &kinds::gateway(),
    )
}

/// The Deployment that istiod creates for the Gateway.
fn deployments(scope: &Scope<'_>) -> Api<Deployment> {
    Api::namespaced(scope.cluster.client.clone(), ISTIO_NAMESPACE)
}

fn deployment_id() -> ObjectId {
    ObjectId::new("Deployment", ISTIO_NAMESPACE, SERVICE)
}

/// The Service that istiod creates for the Gateway.
fn services(scope: &Scope<'_>) -> Api<Service> {
    Api::namespaced(scope.cluster.client.clone(), ISTIO_NAMESPACE)
}

fn service_id() -> ObjectId {
    ObjectId::new("Service", ISTIO_NAMESPACE, SERVICE)
}

fn routes(scope: &Scope<'_>) -> Api<HttpRoute> {
    Api::namespaced_with(
        scope.cluster.client.clone(),
        ISTIO_NAMESPACE,
        &kinds::http_route(),
    )
}

fn gateway_id() -> ObjectId {
    ObjectId::new("Gateway", ISTIO_NAMESPACE, GATEWAY)
}

fn route_id() -> ObjectId {
    ObjectId::new("HTTPRoute", ISTIO_NAMESPACE, ROUTE)
}

/// The current scrape target of the cluster; None without an address.
pub async fn target(scope: &Scope<'_>, loopback: bool) -> Result<Option<ScrapeTarget>> {
    if let Some(address) = &scope.cluster.prometheus {
        return Ok(Some(ScrapeTarget::of(&scope.cluster.name, address)));
    }
    let api = gateways(scope);
    let gateway = send_opt(scope, &gateway_id(), || api.get(GATEWAY)).await?;
    let Some(gateway) = gateway else {
        return Ok(None);
    };
    let (api, id) = (services(scope), service_id());
    let service = send_opt(scope, &id, || api.get(&id.name)).await?;
    let Some(host) = health::own_address(&gateway, service.as_ref()) else {
        return Ok(None);
    };
    usable(scope, &host, service.as_ref(), loopback)?;
    Ok(Some(ScrapeTarget::at(&scope.cluster.name, &host, PORT)))
}

pub async fn status(scope: &Scope<'_>) -> Vec<Component> {
    let (gateways, routes) = (gateways(scope), routes(scope));
    let (mut gateway, route) = tokio::join!(
        look(
            scope,
            &gateways,
            gateway_id(),
            |gateway: Option<&Gateway>| {
                let unseen = health::unseen(gateway, None, scope.cluster.server_time());
                unseen.map_or_else(|| health::gateway(gateway), Health::Failed)
            }
        ),
        look(scope, &routes, route_id(), health::http_route),
    );
    if gateway.health == Health::Ready {
        gateway.health = match target(scope, true).await {
            Ok(_) => narrowed(scope).await,
            Err(useless) => Health::Failed(format!("{useless:#}")),
        };
    }
    vec![gateway, route]
}

/// Whether the Service has the source ranges and annotations that the options give it.
fn lets_in(scope: &Scope<'_>, service: Option<&Service>) -> Health {
    let Exposure {
        source_ranges,
        annotations,
    } = &scope.settings.exposure;
    health::narrowed(service, source_ranges, annotations)
}

/// Whether the Service lets in only whom the options let in.
async fn narrowed(scope: &Scope<'_>) -> Health {
    if scope.settings.exposure == Exposure::default() {
        return Health::Ready;
    }
    let (api, id) = (services(scope), service_id());
    match send_opt(scope, &id, || api.get(&id.name)).await {
        Ok(service) => match lets_in(scope, service.as_ref()) {
            Health::InProgress(why) => Health::Failed(format!("Service {}: {why}", id.name)),
            health => health,
        },
        Err(refusal) => Health::Failed(refusal.text()),
    }
}

/// Waits until the Gateway's Service is gone, because its load balancer costs money until then.
pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let objects = objects(PORT, None, &scope.settings.with_all_objects())?;
    let removed = delete::delete_all(scope, &objects).await?;
    let mut removals = objects.iter().zip(&removed);
    if removals.any(|(o, removed)| o["kind"] == "Gateway" && *removed == Removed::Deleted) {
        let service = json!({"apiVersion": "v1", "kind": "Service"});
        wait::until_gone(scope, &kinds::of(&service)?, service_id()).await?;
    }
    scope.progress.done(delete::summary(scope, &removed));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_route_lets_one_path_through() {
        let route = &objects(9090, None, &Settings::default()).unwrap()[1];
        let matches = &route["spec"]["rules"][0]["matches"];
        assert_eq!(
            *matches,
            json!([{"method": "GET", "path": {"type": "Exact", "value": "/federate"}}])
        );
        assert_eq!(route["spec"]["rules"].as_array().map(Vec::len), Some(1));
    }
}
