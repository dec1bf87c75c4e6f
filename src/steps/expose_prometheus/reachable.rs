//! Waits until the Gateway of a cluster can be reached from home, and judges its address.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use super::{
    GATEWAY, PODS, SERVICE, ScrapeTarget, UNKNOWN, at, deployment_id, deployments, gateway_id,
    gateways, lets_in, route_id, routes, service_id, services, target,
};
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::apply::{self, Applied, Outcome};
use crate::k8s::health::{self, Gateway, Health};
use crate::k8s::record::Key;
use crate::k8s::request::send_opt;
use crate::k8s::wait::{self, Wait};
use crate::k8s::{Scope, pods, write};
use crate::mesh::{Cluster, UnreachableReason, unreachable_reason_of_load_balancer};
use crate::problem::{self, Exit, Problem};

/// After how long a Gateway without a Service is changed once more, so that istiod looks at it again.
const FORGOTTEN: Duration = Duration::from_secs(15);
/// istiod sends a changed certificate to the Gateway within this time.
const PUSHED: Duration = Duration::from_secs(1);

/// Waits until the Gateway has an address that home can scrape.
pub async fn reachable(scope: &Scope<'_>, applied: &[Applied]) -> Result<ScrapeTarget> {
    if scope.choices.dry_run {
        return foreseen(scope).await;
    }
    let gateway = apply::of_kind(applied, "Gateway")?.outcome;
    tokio::select! {
        target = own_target(scope, applied) => target,
        failed = remind(scope), if gateway != Outcome::Reused => Err(failed),
    }
}

/// Envoy keeps the port of a Gateway closed whose certificate was unusable, also with a certificate that is usable, until
/// istiod sends it the listener again. Changes the Gateway, so that istiod does.
pub async fn push_again(scope: &Scope<'_>) -> Result<()> {
    let id = gateway_id();
    let key = Key::of(&json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": id.kind,
        "metadata": {"namespace": id.namespace, "name": id.name},
    }));
    touch(scope, |gateway| scope.record.owns(&key, &gateway.metadata)).await
}

/// Changes an annotation of the Gateway if it is there and meant, so that istiod looks at it again.
async fn touch(scope: &Scope<'_>, is_meant: impl FnOnce(&Gateway) -> bool) -> Result<()> {
    let (api, id) = (gateways(scope), gateway_id());
    let gateway = send_opt(scope, &id, || api.get(GATEWAY)).await?;
    if let Some(gateway) = gateway.filter(is_meant) {
        write::touch(scope, &api, &id, write::RETRY, &gateway.metadata).await?;
    }
    Ok(())
}

/// istiod applies a Gateway's Deployment and then its Service. After five conflicts within a fraction of a second it
/// gives up until the Gateway or one of its objects changes, so change the Gateway once if the Service stays away.
/// Returns only with an error.
async fn remind(scope: &Scope<'_>) -> anyhow::Error {
    tokio::time::sleep(FORGOTTEN).await;
    match forgotten(scope).await {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}

async fn forgotten(scope: &Scope<'_>) -> Result<()> {
    let (services, id) = (services(scope), service_id());
    match send_opt(scope, &id, || services.get(&id.name)).await? {
        Some(_) => Ok(()),
        None => touch(scope, |_| true).await,
    }
}

async fn own_target(scope: &Scope<'_>, applied: &[Applied]) -> Result<ScrapeTarget> {
    let advice = advice(scope);
    let gateway = served(scope, applied, &advice).await?;
    let is_changed =
        |one: &Applied| one.live["kind"] == "Secret" && one.outcome == Outcome::Changed;
    if applied.iter().any(is_changed) {
        tokio::time::sleep(PUSHED).await;
        push_again(scope).await?;
    }
    let own = apply::of_kind(applied, "Gateway")?.outcome;
    let service = own_service(scope, own, &advice).await?;
    let address = health::own_address(&gateway, service.as_ref());
    let address = address.context("a ready Gateway has an address")?;
    let loopback = scope.choices.allow_loopback;
    usable(scope, &address, service.as_ref(), loopback)?;
    let target = at(scope, &address);
    scope.progress.done(target.url());
    Ok(target)
}

/// Waits until the Gateway and its route are accepted and programmed.
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
        // The status of the Gateway would only say that it has no address.
        broken = pods::until_failed(scope, server, PODS) => return Err(broken),
    };
    gateway.context("a ready Gateway is there")
}

/// The scrape target, as far as a dry run can know it.
async fn foreseen(scope: &Scope<'_>) -> Result<ScrapeTarget> {
    pods::foreseen(scope, &deployment_id()).await?;
    let known = target(scope, scope.choices.allow_loopback).await?;
    let unknown = || at(scope, UNKNOWN);
    Ok(known.unwrap_or_else(unknown))
}

/// Waits until the Gateway is ready. Fails if no istiod watches it, because then it never will be.
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

/// Fails if home would not reach this cluster by the address that the cluster reports.
pub fn usable(
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
        // Home resolves its own names.
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

/// The fix for a Gateway address that home cannot use.
fn way_out(cluster: &Cluster) -> String {
    format!(
        "name an address that pods of home reach: --prometheus{} HOST:PORT; or give the Gateway's Service a load balancer: \
         {} -n {ISTIO_NAMESPACE} get service {SERVICE} -o yaml",
        cluster.number, cluster.kubectl
    )
}

/// Waits until the Gateway's own Service has an address. istiod merges Services with the same name in all clusters:
/// until this Service has an address, the Gateway's status may show the address of another cluster.
async fn own_service(scope: &Scope<'_>, gateway: Outcome, advice: &str) -> Result<Option<Service>> {
    let own = Wait {
        advice,
        ..Wait::for_object(services(scope), service_id())
    };
    let health = |service: Option<&Service>| match service {
        // A foreign Gateway may use any Service.
        None if gateway == Outcome::Reused => Health::Ready,
        service => match lets_in(scope, service) {
            Health::Ready => health::load_balancer(service),
            early => early,
        },
    };
    wait::until(scope, own, health).await
}

/// The usual reason why a Gateway gets no address.
fn advice(scope: &Scope<'_>) -> String {
    format!(
        "Service {ISTIO_NAMESPACE}/{SERVICE} of type LoadBalancer got no address: this cluster usually lacks a load \
         balancer (MetalLB, cloud-provider-kind, the cloud's controller); see {} -n {ISTIO_NAMESPACE} \
         describe service {SERVICE}",
        scope.cluster.kubectl
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
}
