//! § Expose Prometheus: a Gateway in each cluster by which the federating Prometheus reaches the
//! cluster's own. The route lets `GET /federate` through and nothing else.

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::{Value, json};

use super::ScrapeTarget;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::apply::{self, Applied, Before, Outcome};
use crate::k8s::delete::{self, Removed};
use crate::k8s::health::{self, Gateway, Health, HttpRoute};
use crate::k8s::look::{Component, look};
use crate::k8s::request::send_opt;
use crate::k8s::wait::{self, Wait};
use crate::k8s::{Scope, kinds, pods};
use crate::manifests;
use crate::mesh::{Cluster, UnreachableReason, unreachable_reason_of_load_balancer};
use crate::problem::{self, Exit, Problem};
use crate::progress::ObjectId;

const GATEWAY: &str = "prometheus-gateway";
const PODS: &str = "gateway.networking.k8s.io/gateway-name=prometheus-gateway";
const ROUTE: &str = "prometheus";
/// In a dry run, of a Gateway that has no address yet. No such name can exist.
const UNKNOWN: &str = "not-known-yet.invalid";
/// Of the Gateway's listener.
const PORT: u16 = 9090;

/// `revision`: of the istiod that would not look at the Gateway without its name.
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

/// Waits until the Gateway has an address that home can scrape.
pub async fn reachable(scope: &Scope<'_>, applied: &[Applied]) -> Result<ScrapeTarget> {
    if scope.choices.dry_run {
        return foreseen(scope).await;
    }
    let advice = advice(scope);
    let gateway = served(scope, applied, &advice).await?;
    let own = apply::of_kind(applied, "Gateway")?.outcome;
    let service = own_service(scope, own, &advice).await?;
    let address = health::own_address(&gateway, service.as_ref());
    let address = address.context("a ready Gateway has an address")?;
    let loopback = scope.choices.allow_loopback;
    usable(scope, &address, service.as_ref(), loopback)?;
    let target = ScrapeTarget::at(&scope.cluster.name, &address, PORT);
    scope
        .progress
        .done(format!("http://{}/federate", target.address));
    Ok(target)
}

/// The Gateway, waited for until it and its route are in force.
async fn served(scope: &Scope<'_>, applied: &[Applied], advice: &str) -> Result<Gateway> {
    let gateway = apply::of_kind(applied, "Gateway")?;
    let route = apply::of_kind(applied, "HTTPRoute")?;
    let server = Wait {
        absent: gateway.outcome == Outcome::Created,
        ..Wait::for_object(deployments(scope), deployment_id())
    };
    let gateway = Wait {
        seen: serde_json::from_value(gateway.live.clone()).ok(),
        advice,
        ..Wait::for_object(gateways(scope), gateway_id())
    };
    let route = Wait {
        seen: serde_json::from_value(route.live.clone()).ok(),
        ..Wait::for_object(routes(scope), route_id())
    };
    let ready = async {
        tokio::try_join!(
            looked_at(scope, gateway),
            wait::until(scope, route, health::http_route),
        )
    };
    let (gateway, _) = tokio::select! {
        ready = ready => ready?,
        // The Gateway itself would only say that it has no address.
        broken = pods::until_failed(scope, server, PODS) => return Err(broken),
    };
    gateway.context("a ready Gateway is there")
}

/// The target as far as a dry run can know it.
async fn foreseen(scope: &Scope<'_>) -> Result<ScrapeTarget> {
    pods::foreseen(scope, &deployment_id()).await?;
    let known = target(scope, scope.choices.allow_loopback).await?;
    let unknown = || ScrapeTarget::at(&scope.cluster.name, UNKNOWN, PORT);
    Ok(known.unwrap_or_else(unknown))
}

/// Until the Gateway is ready; one that nobody looks at will not become so.
async fn looked_at(scope: &Scope<'_>, gateway: Wait<'_, Gateway>) -> Result<Option<Gateway>> {
    let begun = scope.cluster.server_time();
    let health = |gateway: Option<&Gateway>| {
        let unseen = health::unseen(gateway, begun, scope.cluster.server_time());
        unseen.map_or_else(|| health::gateway(gateway), Health::Failed)
    };
    let ready = wait::until(scope, gateway, health).await;
    ready.map_err(|error| match problem::find(&error) {
        Some(problem) if problem.exit == Exit::Unexpected => {
            let look = format!(
                "{} -n {ISTIO_NAMESPACE} get deployments -l app=istiod -L istio.io/rev",
                scope.cluster.kubectl
            );
            problem.clone().fix(look).into()
        }
        _ => error,
    })
}

/// What a cluster says of itself is scraped from home, where it must mean that cluster.
fn usable(
    scope: &Scope<'_>,
    host: &str,
    service: Option<&Service>,
    loopback: bool,
) -> Result<(), Problem> {
    let Some(why) = useless(scope.is_home(), host, service, loopback) else {
        return Ok(());
    };
    let cause = format!(
        "{}: {}: its address {host} {why}; home would not reach the Prometheus of {0} by it",
        scope.cluster.name,
        gateway_id()
    );
    let problem = Problem::new(Exit::Unexpected, cause).code(Code::UselessGatewayAddress);
    Err(problem.fix(way_out(scope.cluster)))
}

fn useless(home: bool, host: &str, service: Option<&Service>, loopback: bool) -> Option<String> {
    let why = unreachable_reason_of_load_balancer(host).filter(|why| match why {
        UnreachableReason::Loopback => !loopback,
        // Home's own names are read on home.
        UnreachableReason::InCluster | UnreachableReason::ShortName => !home,
        UnreachableReason::Unroutable
        | UnreachableReason::Metadata
        | UnreachableReason::InvalidHost => true,
    });
    let own = |service: &Service| {
        let spec = service.spec.as_ref();
        let ips = spec.and_then(|spec| spec.cluster_ips.as_deref());
        ips.unwrap_or_default().iter().any(|ip| ip == host)
    };
    match why {
        Some(why) => Some(why.to_string()),
        None if !home && service.is_some_and(own) => {
            Some("is the ClusterIP of its own Service, which only that cluster knows".into())
        }
        None => None,
    }
}

/// For a Gateway whose address is of no use on home.
pub fn way_out(cluster: &Cluster) -> String {
    format!(
        "name an address that pods of home reach: --prometheus{} HOST:PORT; or give the Gateway's Service a load balancer: \
         {} -n {ISTIO_NAMESPACE} get service {GATEWAY}-istio -o yaml",
        cluster.number, cluster.kubectl
    )
}

/// The Gateway's own, with an address. istiod knows Services of one name in all clusters as one: as long
/// as this cluster's has no address, the Gateway's status may show that of another cluster's.
async fn own_service(scope: &Scope<'_>, gateway: Outcome, advice: &str) -> Result<Option<Service>> {
    let own = Wait {
        advice,
        ..Wait::for_object(services(scope), service_id())
    };
    let health = |service: Option<&Service>| match service {
        // One of somebody else may lead to any Service.
        None if gateway == Outcome::Reused => Health::Ready,
        service => health::load_balancer(service),
    };
    wait::until(scope, own, health).await
}

/// What usually lacks when a Gateway stays without an address.
fn advice(scope: &Scope<'_>) -> String {
    format!(
        "Service {ISTIO_NAMESPACE}/{GATEWAY}-istio of type LoadBalancer got no address: this cluster usually lacks a load \
         balancer (MetalLB, cloud-provider-kind, the cloud's controller); see {} -n {ISTIO_NAMESPACE} \
         describe service {GATEWAY}-istio",
        scope.cluster.kubectl
    )
}

fn gateways(scope: &Scope<'_>) -> Api<Gateway> {
    Api::namespaced_with(
        scope.cluster.client.clone(),
        ISTIO_NAMESPACE,
        &kinds::gateway(),
    )
}

/// Of the server that the mesh makes for the Gateway.
fn deployments(scope: &Scope<'_>) -> Api<Deployment> {
    Api::namespaced(scope.cluster.client.clone(), ISTIO_NAMESPACE)
}

fn deployment_id() -> ObjectId {
    ObjectId::new("Deployment", ISTIO_NAMESPACE, &format!("{GATEWAY}-istio"))
}

/// Of what leads to it.
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

/// Where the cluster's Prometheus is exposed now; None without an address.
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

/// Waits for the Gateway's Service to go: until then its load balancer costs money.
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
    fn an_address_that_only_its_own_cluster_knows_is_of_no_use() {
        let service =
            json!({"spec": {"type": "ClusterIP", "clusterIPs": ["10.96.0.9", "fd00::9"]}});
        let service: Service = serde_json::from_value(service).unwrap();
        let name = "prometheus-gateway-istio.istio-system.svc.cluster.local";
        for (home, host, loopback, useful) in [
            (false, name, true, false),
            (true, name, true, true),
            (false, "10.96.0.9", true, false),
            (false, "fd00::9", true, false),
            (true, "10.96.0.9", true, true),
            (false, "10.96.0.10", false, true),
            (false, "127.0.2.200", true, true),
            (false, "127.0.2.200", false, false),
            (true, "127.0.2.200", false, false),
            (true, "169.254.169.254", true, false),
            (false, "x/y", true, false),
            (false, "prometheus.kiali", true, false),
            (true, "prometheus.kiali", true, true),
            (true, "metadata.google.internal", true, false),
            (false, "lb.example.com", false, true),
        ] {
            let why = useless(home, host, Some(&service), loopback);
            assert_eq!(why.is_none(), useful, "{host} home {home}: {why:?}");
        }
    }

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
