//! § Expose Prometheus: a Gateway in each cluster, through which the federating Prometheus reaches the Prometheus
//! of that cluster. The route allows `GET /federate` and nothing else.

mod certificates;
mod reachable;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::{Value, json};

pub use certificates::{
    certificate, held, keep_certificates, lets_in_only, refuses, serves, trusted, trusts,
    write_certificates,
};
use reachable::usable;
pub use reachable::{push_again, reachable};

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
use crate::mutual_tls::{self, Pair, Side};
use crate::progress::ObjectId;
use crate::settings::Settings;

const GATEWAY: &str = "prometheus-gateway";
/// Name of the Service, and of the Deployment, that istiod creates for the Gateway.
pub const SERVICE: &str = "prometheus-gateway-istio";
const PODS: &str = "gateway.networking.k8s.io/gateway-name=prometheus-gateway";
const ROUTE: &str = "prometheus";
const SECRET: &str = "prometheus-gateway-tls";
/// The values of the Secret that istiod gives to the Gateway as its own certificate.
const TLS_FILES: [&str; 2] = ["tls.crt", "tls.key"];
/// The value with the certificate of the only client that the Gateway lets in.
const CLIENT: &str = "ca.crt";
/// Address of a Gateway that has none yet, in a dry run. This name can never exist.
const UNKNOWN: &str = "not-known-yet.invalid";
/// Port of the Gateway's listener.
const PORT: u16 = 9090;

/// `revision` is the revision label that the istiod of the cluster requires, if any. Without `tls`, the Secret of the
/// Gateway has no data.
pub fn objects(
    prometheus_port: u16,
    revision: Option<&str>,
    settings: &Settings,
    tls: Option<&GatewayTls<'_>>,
) -> Result<Vec<Value>> {
    let exposure = &settings.exposure;
    let values = json!({
        "prometheus_port": prometheus_port, "revision": revision,
        "mutual_tls": exposure.mutual_tls(), "tls_data": tls.map(GatewayTls::data),
        "annotations": exposure.annotations, "source_ranges": exposure.source_ranges,
        "network_policies": settings.network_policies,
    });
    manifests::render(manifests::PROMETHEUS_GATEWAY, values)
}

/// What the Secret of a Gateway has.
pub struct GatewayTls<'a> {
    pub own: &'a Pair,
    /// The certificate of the only client that it lets in.
    pub client: &'a str,
}

impl GatewayTls<'_> {
    fn data(&self) -> Value {
        json!({
            TLS_FILES[0]: mutual_tls::data(&self.own.certificate),
            TLS_FILES[1]: self.own.key_data(),
            CLIENT: mutual_tls::data(self.client),
        })
    }
}

/// Applies the Gateway and its route; `reachable` waits for them.
pub async fn install(
    scope: &Scope<'_>,
    prometheus_port: u16,
    tls: Option<&GatewayTls<'_>>,
    before: Before,
) -> Result<Vec<Applied>> {
    let revision = scope.cluster.revision.label();
    let of = |settings| objects(prometheus_port, revision, settings, tls);
    let wanted = of(scope.settings)?;
    // First what the Gateway names, so that it exists when istiod looks for it.
    let applied = apply::apply_first(scope, &["ConfigMap", "Secret"], &wanted, before).await?;
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

pub fn secret_id() -> ObjectId {
    ObjectId::new("Secret", ISTIO_NAMESPACE, SECRET)
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
    Ok(Some(at(scope, &host)))
}

fn at(scope: &Scope<'_>, host: &str) -> ScrapeTarget {
    let mutual_tls = scope.settings.exposure.mutual_tls();
    ScrapeTarget::at(&scope.cluster.name, host, PORT, mutual_tls)
}

pub async fn status(scope: &Scope<'_>) -> Vec<Component> {
    let (gateways, routes) = (gateways(scope), routes(scope));
    let secret = async {
        let peers = [CLIENT.to_string()];
        match scope.settings.exposure.mutual_tls() {
            true => {
                Some(mutual_tls::status(scope, secret_id(), Side::Server, TLS_FILES, &peers).await)
            }
            false => None,
        }
    };
    let (secret, mut gateway, route) = tokio::join!(
        secret,
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
    secret.into_iter().chain([gateway, route]).collect()
}

/// Whether the Service has the source ranges and annotations that the options give it.
fn lets_in(scope: &Scope<'_>, service: Option<&Service>) -> Health {
    let Exposure {
        source_ranges,
        annotations,
        ..
    } = &scope.settings.exposure;
    health::narrowed(service, source_ranges, annotations)
}

/// Whether the Service lets in only whom the options let in.
async fn narrowed(scope: &Scope<'_>) -> Health {
    if !scope.settings.exposure.changes_service() {
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
    let objects = objects(PORT, None, &scope.settings.with_all_objects(), None)?;
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
        let route = &objects(9090, None, &Settings::default(), None).unwrap()[2];
        let matches = &route["spec"]["rules"][0]["matches"];
        assert_eq!(
            *matches,
            json!([{"method": "GET", "path": {"type": "Exact", "value": "/federate"}}])
        );
        assert_eq!(route["spec"]["rules"].as_array().map(Vec::len), Some(1));
    }
}
