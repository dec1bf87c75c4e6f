//! A WorkloadEntry for each pod behind a Service that a route names. The API server rejects loopback addresses in
//! EndpointSlices but not in WorkloadEntries, and istiod lets a Service select these like pods.
//!
//! What it cannot show: named target ports.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::Cluster;
use crate::standin::{OURS, service};

/// WorkloadEntries by namespace and name.
type Entries = BTreeMap<(String, String), Value>;

/// The written entries. An entry is only written when it changes.
#[derive(Default)]
pub(super) struct Workloads {
    written: Entries,
}

impl Workloads {
    /// Writes the changes. A failed write is retried with the next update.
    pub(super) async fn update(&mut self, cluster: &Cluster, wanted: Entries) {
        let gone: Vec<_> = self
            .written
            .keys()
            .filter(|key| !wanted.contains_key(key))
            .cloned()
            .collect();
        for key in gone {
            if told(cluster, &key, delete(cluster, &key).await) {
                self.written.remove(&key);
            }
        }
        for (key, entry) in wanted {
            if self.written.get(&key) != Some(&entry)
                && told(cluster, &key, write(cluster, &key, &entry).await)
            {
                self.written.insert(key, entry);
            }
        }
    }
}

fn told(cluster: &Cluster, (_, name): &(String, String), done: kube::Result<()>) -> bool {
    if let Err(error) = &done {
        eprintln!("{}: workload {name}: {error}", cluster.name());
    }
    done.is_ok()
}

/// Returns an entry for each ready pod of each Service that a route names.
pub(super) fn wanted(
    services: &[Arc<Service>],
    pods: &[impl Borrow<Pod>],
    routes: &[Arc<DynamicObject>],
) -> Entries {
    let named: BTreeSet<_> = routes.iter().flat_map(|route| backends(route)).collect();
    let named = services.iter().filter(|service| {
        let namespace = service.namespace().unwrap_or_default();
        named.contains(&(namespace, service.name_any()))
    });
    let entries = named.flat_map(|service| {
        service::behind(service, pods).filter_map(move |pod| entry(service, pod))
    });
    entries.collect()
}

fn backends(route: &DynamicObject) -> Vec<(String, String)> {
    let rules = route.data["spec"]["rules"].as_array();
    let references = rules
        .into_iter()
        .flatten()
        .flat_map(|rule| rule["backendRefs"].as_array().into_iter().flatten());
    let text = |value: &Value| value.as_str().map(String::from);
    references
        .filter_map(|reference| {
            let namespace = text(&reference["namespace"]).or(route.namespace());
            Some((namespace?, text(&reference["name"])?))
        })
        .collect()
}

fn entry(service: &Service, pod: &Pod) -> Option<((String, String), Value)> {
    let key = (
        pod.namespace()?,
        format!("{}-{}", service.name_any(), pod.name_any()),
    );
    let selector: BTreeMap<_, _> = service::selector(service).collect();
    let mut labels = json!(selector);
    labels[OURS.0] = json!(OURS.1);
    let entry = json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "WorkloadEntry",
        "metadata": {
            "name": key.1,
            "namespace": key.0,
            "labels": labels,
            "ownerReferences": pod.owner_ref(&()).map(|owner| vec![owner]),
        },
        "spec": {"address": service::address(pod)?, "labels": selector},
    });
    Some((key, entry))
}

fn api(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("networking.istio.io", "v1", "WorkloadEntry");
    let kind = ApiResource::from_gvk_with_plural(&kind, "workloadentries");
    Api::namespaced_with(cluster.client(), namespace, &kind)
}

async fn write(
    cluster: &Cluster,
    (namespace, name): &(String, String),
    entry: &Value,
) -> kube::Result<()> {
    let params = PatchParams::apply("sandbox").force();
    let api = api(cluster, namespace);
    let written = api.patch(name, &params, &Patch::Apply(entry)).await;
    written.map(|_| ())
}

/// Deletes an entry. The garbage collector may have deleted it before, because its pod owns it.
async fn delete(cluster: &Cluster, (namespace, name): &(String, String)) -> kube::Result<()> {
    let api = api(cluster, namespace);
    match api.delete(name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        done => done.map(|_| ()),
    }
}
