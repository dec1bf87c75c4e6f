//! Endpoints for Gateway Services. istiod gives a Gateway an address only if its Service has endpoints, and the API
//! server rejects endpoints for pods on loopback. So an EndpointSlice with an unused address shows that a pod of the
//! Gateway is ready, which the controller manager cannot do here.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use super::OF_GATEWAY;
use crate::Cluster;
use crate::standin::service;

/// Reserved for documentation (RFC 5737), so no traffic goes there.
const NOBODY: &str = "192.0.2.2";

/// The written slices by the UID of their Service. A slice is only written when it changes.
#[derive(Default)]
pub(super) struct Endpoints {
    written: HashMap<String, Value>,
}

impl Endpoints {
    pub(super) async fn update(&mut self, cluster: &Cluster, services: &[(&Service, bool)]) {
        let uids: BTreeSet<String> = services.iter().filter_map(|(s, _)| s.uid()).collect();
        self.written.retain(|uid, _| uids.contains(uid));
        for (service, ready) in services {
            let uid = service.uid().unwrap_or_default();
            let slice = slice(service, *ready);
            if self.written.get(&uid) == Some(&slice) {
                continue;
            }
            match write(cluster, service, &slice).await {
                Ok(()) => {
                    self.written.insert(uid, slice);
                }
                Err(error) => {
                    eprintln!(
                        "{}: endpoints of {}: {error}",
                        cluster.name(),
                        service.name_any()
                    );
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
        }
    }
}

/// Whether a pod of the Service's Gateway is ready.
pub(super) fn ready(service: &Service, pods: &[impl AsRef<Pod>]) -> bool {
    let gateway = service.labels().get(OF_GATEWAY);
    pods.iter().map(AsRef::as_ref).any(|pod| {
        pod.namespace() == service.namespace()
            && pod.labels().get(OF_GATEWAY) == gateway
            && service::ready(pod)
    })
}

async fn write(cluster: &Cluster, service: &Service, slice: &Value) -> kube::Result<()> {
    let namespace = service.namespace().unwrap_or_default();
    let name = name(service);
    let api = Api::<EndpointSlice>::namespaced(cluster.client(), &namespace);
    let done = if slice.is_null() {
        api.delete(&name, &DeleteParams::default())
            .await
            .map(|_| ())
    } else {
        let params = PatchParams::apply("sandbox").force();
        api.patch(&name, &params, &Patch::Apply(slice))
            .await
            .map(|_| ())
    };
    match done {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        done => done,
    }
}

fn name(service: &Service) -> String {
    format!("{}-sandbox", service.name_any())
}

fn slice(service: &Service, ready: bool) -> Value {
    if !ready {
        return Value::Null;
    }
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    let ports: Vec<Value> = ports
        .map(|port| json!({ "name": port.name, "port": port.port, "protocol": "TCP" }))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name(service),
            "namespace": service.namespace(),
            "labels": {
                "kubernetes.io/service-name": service.name_any(),
                "endpointslice.kubernetes.io/managed-by": "sandbox",
            },
            "ownerReferences": service.owner_ref(&()).map(|owner| vec![owner]),
        },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [NOBODY], "conditions": { "ready": true } }],
        "ports": ports,
    })
}
