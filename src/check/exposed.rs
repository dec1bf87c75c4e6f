//! Whether home could scrape the Prometheus of a cluster at its future or given address.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::Value;

use super::Finding;
use super::facts::Facts;
use crate::code::Code;
use crate::exposure::{self, Exposure};
use crate::guide::ISTIO_NAMESPACE;
use crate::manifests;
use crate::mesh::UnreachableReason;
use crate::progress::ObjectId;
use crate::run::Run;
use crate::steps::expose_prometheus;

/// Service types without an address outside of the cluster.
const INSIDE: [&str; 2] = ["ClusterIP", "NodePort"];

pub fn judge(run: &Run<'_>, facts: &Facts<'_>) -> Vec<Finding> {
    if run.settings.store.is_some() {
        return Vec::new();
    }
    let home = run.is_home(facts.cluster);
    let mut findings = useless(facts, home, run.choices.allow_loopback);
    findings.extend(public(facts, &run.settings.exposure));
    findings
}

fn useless(facts: &Facts<'_>, home: bool, allow_loopback: bool) -> Vec<Finding> {
    match facts.cluster.prometheus {
        Some(_) => named(facts, home, allow_loopback).into_iter().collect(),
        // Home resolves its own names.
        None if home => Vec::new(),
        None => defaults(facts),
    }
}

/// Judges an address from the user or from the record of the last install.
fn named(facts: &Facts<'_>, home: bool, allow_loopback: bool) -> Option<Finding> {
    let address = facts.cluster.prometheus.as_ref()?;
    let why = address.unreachable_reason().filter(|why| match why {
        UnreachableReason::Loopback => !allow_loopback,
        UnreachableReason::InCluster => !home,
        // The user knows what a short name means on home.
        UnreachableReason::ShortName => false,
        UnreachableReason::Unroutable
        | UnreachableReason::Metadata
        | UnreachableReason::InvalidHost => true,
    })?;
    let object = ObjectId::cluster_wide("Prometheus", &format!("at {address}"));
    let number = facts.cluster.number;
    let cause = format!("its host {why}; the federating Prometheus on home would not reach it");
    let finding = Finding::new(Code::UselessGatewayAddress, facts.cluster, object, cause);
    Some(finding.fix(format!(
        "name an address that pods of home reach: --prometheus{number} HOST:PORT"
    )))
}

/// Reports the Gateway of an earlier install if everybody can reach it, also after this install.
fn public(facts: &Facts<'_>, exposure: &Exposure) -> Option<Finding> {
    let is_narrow = exposure.mutual_tls() || !exposure.source_ranges.is_empty();
    if facts.cluster.prometheus.is_some() || is_narrow {
        return None;
    }
    let name = expose_prometheus::SERVICE;
    let services = facts.load_balancers.as_ref().ok()?.as_ref()?;
    let service = services.iter().find(|service| {
        service.name_any() == name && service.namespace().as_deref() == Some(ISTIO_NAMESPACE)
    })?;
    let ranges = service
        .spec
        .as_ref()?
        .load_balancer_source_ranges
        .as_deref();
    if !ranges.unwrap_or_default().is_empty() {
        return None;
    }
    let internal = exposure.is_narrow() || exposure::is_internal(service.annotations());
    let status = service.status.as_ref()?.load_balancer.as_ref()?;
    let mut ingress = status.ingress.iter().flatten();
    let cause = ingress.find_map(|one| match (&one.ip, &one.hostname) {
        // A provider that does not change an existing load balancer leaves a public address.
        (Some(ip), _) if is_public(ip) => Some(format!("its address {ip} is public")),
        (None, Some(host)) if !internal => Some(format!("its address {host} may be public")),
        _ => None,
    })?;
    let object = ObjectId::new("Service", ISTIO_NAMESPACE, name);
    let cause = format!("{cause}, and nothing narrows who reads the metrics of the mesh there");
    let finding = Finding::new(Code::PublicGateway, facts.cluster, object, cause);
    Some(finding.fix("install again with --exposure mtls, with --gateway-source-range CIDR, or with --gateway-internal aws, gcp or azure"))
}

/// Whether an address is reachable from other networks than its own.
fn is_public(ip: &str) -> bool {
    let inside = match ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Err(_) => true,
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
        }
        Ok(IpAddr::V4(ip)) => {
            // 100.64.0.0/10, which providers share among their customers.
            let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
            ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared
        }
    };
    !inside
}

fn defaults(facts: &Facts<'_>) -> Vec<Finding> {
    let maps = match &facts.gateway_defaults {
        Err(blind) => return vec![*blind.clone()],
        Ok(maps) => maps.as_deref().unwrap_or_default(),
    };
    let finding = |map: &ConfigMap| {
        let kind = service_type(map)?;
        let object = ObjectId::new("ConfigMap", ISTIO_NAMESPACE, &map.name_any());
        let cause = format!(
            "makes the Services of GatewayClass istio {kind}: home could not reach the Gateway's address"
        );
        let finding = Finding::new(Code::UselessGatewayAddress, facts.cluster, object, cause);
        Some(finding.fix(format!(
            "name an address that pods of home reach: --prometheus{} HOST:PORT; or let Gateways have load balancers: {} -n {ISTIO_NAMESPACE} edit configmap {}",
            facts.cluster.number,
            facts.cluster.kubectl,
            map.name_any()
        )))
    };
    maps.iter().filter_map(finding).collect()
}

/// The Service type that the defaults set, if another cluster cannot reach it.
fn service_type(map: &ConfigMap) -> Option<&'static str> {
    let text = map.data.as_ref()?.get("service")?;
    let service: Value = manifests::from_yaml(text).ok()?;
    let set = service.pointer("/spec/type")?.as_str()?;
    INSIDE.into_iter().find(|kind| *kind == set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_address_of_an_inner_network_is_not_public() {
        for inside in [
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "fd00::1",
            "fe80::1",
            "::1",
            "::ffff:10.0.0.1",
            "no address",
        ] {
            assert!(!is_public(inside), "{inside}");
        }
        for public in [
            "203.0.113.1",
            "172.32.0.1",
            "100.128.0.1",
            "100.63.255.255",
            "2001:db8::1",
        ] {
            assert!(is_public(public), "{public}");
        }
    }

    #[test]
    fn defaults_that_give_no_address_are_known() {
        let of = |service: &str| {
            let map = json!({"data": {"service": service}});
            service_type(&serde_json::from_value(map).unwrap())
        };
        assert_eq!(of("spec:\n  type: ClusterIP\n"), Some("ClusterIP"));
        assert_eq!(of("spec: {type: NodePort}"), Some("NodePort"));
        for harmless in [
            "spec: {type: LoadBalancer}",
            "metadata: {}",
            "a: [",
            "",
            "spec: 1",
        ] {
            assert_eq!(of(harmless), None, "{harmless}");
        }
    }
}
