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

const GATEWAY: &str = "prometheus-gateway";
const PODS: &str = "gateway.networking.k8s.io/gateway-name=prometheus-gateway";
const ROUTE: &str = "prometheus";
/// Address of a Gateway that has none yet, in a dry run. This name can never exist.
const UNKNOWN: &str = "not-known-yet.invalid";
/// Port of the Gateway's listener.
const PORT: u16 = 9090;

/// `revision` is the revision label that the istiod of the cluster requires, if any.
pub fn objects(prometheus_port: u16, revision: Option<&str>) -> Result<Vec<Value>> {
    manifests::render(
        manifests::PROMETHEUS_GATEWAY,
        json!({"prometheus_port": prometheus_port, "revision": revision}),
    )
}

fn on(scope: &Scope<'_>, prometheus_port: u16) -> Result<Vec<Value>> {
    objects(prometheus_port, scope.cluster.revision.label())
}

/// Applies the Gateway and its route; `reachable` waits for them.
pub async fn install(
    scope: &Scope<'_>,
    prometheus_port: u16,
    before: Before,
) -> Result<Vec<Applied>> {
    apply::apply_all(scope, &on(scope, prometheus_port)?, before).await
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
    ObjectId::new("Deployment", ISTIO_NAMESPACE, &format!("{GATEWAY}-istio"))
}

/// The Service that istiod creates for the Gateway.
fn services(scope: &Scope<'_>) -> Api<Service> {
    Api::namespaced(scope.cluster.client.clone(), ISTIO_NAMESPACE)
}

fn service_id() -> ObjectId {
    ObjectId::new("Service", ISTIO_NAMESPACE, &format!("{GATEWAY}-istio"))
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
    if gateway.health == Health::Ready
        && let Err(useless) = target(scope, true).await
    {
        gateway.health = Health::Failed(format!("{useless:#}"));
    }
    vec![gateway, route]
}

/// Waits until the Gateway's Service is gone, because its load balancer costs money until then.
pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let objects = on(scope, PORT)?;
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
        let route = &objects(9090, None).unwrap()[1];
        let matches = &route["spec"]["rules"][0]["matches"];
        assert_eq!(
            *matches,
            json!([{"method": "GET", "path": {"type": "Exact", "value": "/federate"}}])
        );
        assert_eq!(route["spec"]["rules"].as_array().map(Vec::len), Some(1));
    }
}
