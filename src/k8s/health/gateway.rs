//! Gateways and routes: programmed for what was asked, and with an address.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{NotUsed, Object};
use serde::{Deserialize, Serialize};

use super::{Health, missing};

pub type Gateway = Object<NotUsed, GatewayStatus>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct GatewayStatus {
    #[serde(default)]
    pub addresses: Vec<GatewayAddress>,
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GatewayAddress {
    pub value: String,
}

/// The first address of a Gateway: an IP or a host name.
pub fn address(gateway: &Gateway) -> Option<&str> {
    let addresses = gateway
        .status
        .as_ref()
        .map(|s| s.addresses.as_slice())
        .unwrap_or_default();
    addresses
        .iter()
        .map(|a| a.value.as_str())
        .find(|value| !value.is_empty())
}

/// Programmed for its own generation, with an address: without one a scrape target would be empty,
/// and Prometheus would take it for itself.
pub fn gateway(gateway: Option<&Gateway>) -> Health {
    let Some(gateway) = gateway else {
        return missing();
    };
    let status = gateway.status.clone().unwrap_or_default();
    let generation = gateway.metadata.generation;
    let find = |name: &str| status.conditions.iter().find(|c| c.type_ == name);
    for name in ["Accepted", "Programmed"] {
        match find(name) {
            Some(c) if c.observed_generation < generation => {
                return Health::InProgress(format!("{name} is of the generation before"));
            }
            Some(c) if c.status == "True" => {}
            // Until a controller has looked, the API server's default says Unknown/Pending.
            Some(c) => {
                return Health::InProgress(format!(
                    "{name}={} {}: {}",
                    c.status, c.reason, c.message
                ));
            }
            None => {
                return Health::InProgress(format!(
                    "no condition {name} yet: no controller has looked at it"
                ));
            }
        }
    }
    match address(gateway) {
        Some(_) => Health::Ready,
        None => Health::InProgress("programmed, but without an address".into()),
    }
}

pub type HttpRoute = Object<NotUsed, RouteStatus>;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct RouteStatus {
    #[serde(default)]
    pub parents: Vec<RouteParent>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RouteParent {
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

pub fn http_route(route: Option<&HttpRoute>) -> Health {
    let Some(route) = route else { return missing() };
    let parents = route
        .status
        .as_ref()
        .map(|s| s.parents.as_slice())
        .unwrap_or_default();
    let conditions = parents
        .iter()
        .flat_map(|p| &p.conditions)
        .collect::<Vec<_>>();
    for name in ["Accepted", "ResolvedRefs"] {
        match conditions.iter().find(|c| c.type_ == name) {
            Some(c) if c.observed_generation < route.metadata.generation => {
                return Health::InProgress(format!("{name} is of the generation before"));
            }
            Some(c) if c.status == "True" => {}
            Some(c) => {
                return Health::InProgress(format!(
                    "{name}={} {}: {}",
                    c.status, c.reason, c.message
                ));
            }
            None => {
                return Health::InProgress(format!(
                    "no condition {name} yet: no controller has looked at it"
                ));
            }
        }
    }
    Health::Ready
}
