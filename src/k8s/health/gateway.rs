//! Health of Gateways and routes.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
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
    #[serde(default)]
    pub listeners: Vec<ListenerStatus>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ListenerStatus {
    pub name: String,
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GatewayAddress {
    pub value: String,
}

/// The address of a Gateway: that of its Service's load balancer if it has one, else one in the status that is
/// the Service's own. istiod merges Services of one name in all clusters, so that the status may show the
/// address of another cluster's. Without such an address it is the Service's name inside the cluster.
pub fn own_address(gateway: &Gateway, service: Option<&Service>) -> Option<String> {
    let Some(service) = service else {
        return addresses(gateway).next().map(String::from);
    };
    if is_balanced(service) {
        return given(service).map(String::from);
    }
    let (name, namespace) = (
        service.metadata.name.as_ref()?,
        service.metadata.namespace.as_ref()?,
    );
    let internal = format!("{name}.{namespace}.svc.cluster.local");
    let spec = service.spec.as_ref();
    let ips = spec.map(|spec| [&spec.external_ips, &spec.cluster_ips]);
    let ips = ips.into_iter().flatten().flatten().flatten();
    let mut own = ips.filter(|ip| addresses(gateway).any(|address| address == **ip));
    Some(own.next().map_or(internal, String::clone))
}

/// Ready if the load balancer has an address, or if the Service has no load balancer.
pub fn load_balancer(service: Option<&Service>) -> Health {
    match service {
        None => missing(),
        Some(service) if is_balanced(service) && given(service).is_none() => {
            Health::InProgress("its load balancer has not assigned an address yet".into())
        }
        Some(_) => Health::Ready,
    }
}

/// Ready if the Service has the source ranges and annotations that it should have, perhaps among others. Without
/// source ranges of ours, those that somebody else gave it are none of our business.
pub fn narrowed(
    service: Option<&Service>,
    source_ranges: &[String],
    annotations: &BTreeMap<String, String>,
) -> Health {
    let Some(service) = service else {
        return missing();
    };
    let spec = service.spec.as_ref();
    let ranges = spec.and_then(|spec| spec.load_balancer_source_ranges.as_deref());
    let ranges = ranges.unwrap_or_default();
    let sorted = |ranges: &[String]| ranges.iter().cloned().collect::<BTreeSet<_>>();
    if !source_ranges.is_empty() && sorted(ranges) != sorted(source_ranges) {
        let now = match ranges {
            [] => "every address".into(),
            ranges => ranges.join(", "),
        };
        let wanted = source_ranges.join(", ");
        return Health::InProgress(format!("it lets in {now}, not {wanted}"));
    }
    let now = service.metadata.annotations.as_ref();
    let is_set =
        |(key, value): &(&String, &String)| now.is_some_and(|now| now.get(*key) == Some(*value));
    match annotations.iter().find(|annotation| !is_set(annotation)) {
        Some((key, value)) => Health::InProgress(format!("it lacks annotation {key}={value}")),
        None => Health::Ready,
    }
}

fn is_balanced(service: &Service) -> bool {
    let kind = service.spec.as_ref().and_then(|spec| spec.type_.as_deref());
    kind == Some("LoadBalancer")
}

fn given(service: &Service) -> Option<&str> {
    let status = service.status.as_ref()?.load_balancer.as_ref()?;
    let mut ingress = status.ingress.iter().flatten();
    ingress.find_map(|one| one.ip.as_deref().or(one.hostname.as_deref()))
}

/// The addresses in a Gateway's status.
fn addresses(gateway: &Gateway) -> impl Iterator<Item = &str> {
    let addresses = gateway.status.iter().flat_map(|s| &s.addresses);
    let values = addresses.map(|a| a.value.as_str());
    values.filter(|value| !value.is_empty())
}

/// Programmed at its current generation, with an address, and with it each listener: a Gateway stays programmed while
/// the port of a listener is closed, because its certificate is missing or unusable. An empty scrape target would make
/// Prometheus scrape itself.
pub fn gateway(gateway: Option<&Gateway>) -> Health {
    let Some(gateway) = gateway else {
        return missing();
    };
    let conditions = gateway.status.iter().flat_map(|s| &s.conditions);
    if let Some(why) = unmet(
        &["Accepted", "Programmed"],
        conditions,
        gateway.metadata.generation,
    ) {
        return Health::InProgress(why);
    }
    let mut listeners = gateway.status.iter().flat_map(|s| &s.listeners);
    let closed = listeners.find_map(|listener| {
        let names = ["Programmed", "ResolvedRefs"];
        let why = unmet(
            &names,
            listener.conditions.iter(),
            gateway.metadata.generation,
        )?;
        Some(format!("listener {}: {why}", listener.name))
    });
    if let Some(why) = closed {
        return Health::InProgress(why);
    }
    match addresses(gateway).next() {
        Some(_) => Health::Ready,
        None => Health::InProgress("programmed, but has no address".into()),
    }
}

/// How long a controller may take to handle a Gateway; istiod needs less than a second.
const LOOK: SignedDuration = SignedDuration::from_secs(20);

/// Reports a Gateway that no controller handles: it has existed for long, also since `begun`, and still has its
/// default status. All times are the server's.
pub fn unseen(
    gateway: Option<&Gateway>,
    begun: Option<Timestamp>,
    now: Option<Timestamp>,
) -> Option<String> {
    let gateway = gateway?;
    let mut conditions = gateway.status.iter().flat_map(|s| &s.conditions);
    // The CRD's default is Unknown with reason Pending.
    if conditions.any(|c| c.status != "Unknown" || c.reason != "Pending") {
        return None;
    }
    let made = gateway.metadata.creation_timestamp.as_ref()?.0;
    let since = begun.map_or(made, |begun| made.max(begun));
    (now?.duration_since(since) >= LOOK).then(|| {
        format!(
            "no controller has handled it for {} s: no istiod watches Gateways with its labels in its namespace",
            LOOK.as_secs()
        )
    })
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
    let conditions = route
        .status
        .iter()
        .flat_map(|s| &s.parents)
        .flat_map(|p| &p.conditions);
    match unmet(
        &["Accepted", "ResolvedRefs"],
        conditions,
        route.metadata.generation,
    ) {
        Some(why) => Health::InProgress(why),
        None => Health::Ready,
    }
}

/// Why the first of these conditions is not true at this generation. Until a controller handles the object, the
/// CRD's default is Unknown.
fn unmet<'a>(
    names: &[&str],
    conditions: impl Iterator<Item = &'a Condition> + Clone,
    generation: Option<i64>,
) -> Option<String> {
    names
        .iter()
        .find_map(|name| match conditions.clone().find(|c| c.type_ == *name) {
            Some(c) if c.observed_generation < generation => {
                Some(format!("{name} is of an older generation"))
            }
            Some(c) if c.status == "True" => None,
            Some(c) => Some(format!("{name}={} {}: {}", c.status, c.reason, c.message)),
            None => Some(format!(
                "no condition {name} yet: no controller has handled it"
            )),
        })
}
