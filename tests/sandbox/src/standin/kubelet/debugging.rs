//! The objects that kwok needs to serve a pod's logs, port-forward and exec. They are written before the pod can be
//! Ready, because kwok reads them from a cache and the first port-forward follows at once.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::{Value, json};

use super::mounts::Mount;
use super::{Node, log, program::Program};
use crate::standin::pod_commands;
use crate::standin::sample::Named;

/// The kind and plural of each object. Each pod has one object of each kind, with the pod's name.
const KINDS: [(&str, &str); 3] = [
    ("Logs", "logs"),
    ("PortForward", "portforwards"),
    ("Exec", "execs"),
];

pub fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "kwok.x-k8s.io".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "kwok.x-k8s.io/v1alpha1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

pub async fn publish(
    node: &Node,
    pod: &Pod,
    played: &Container,
    program: Program,
    ip: Ipv4Addr,
    logs: &Path,
    mounts: &[Mount],
) -> kube::Result<()> {
    let spec = |kind: &str| match kind {
        "Logs" => Some(json!({ "logs": [
            {
                "containers": [played.name],
                "logsFile": log::current(logs),
                "previousLogsFile": log::previous(logs),
                "follow": true,
            },
            // For the other containers of the pod, which log nothing.
            { "logsFile": log::silent(logs) },
        ] })),
        "PortForward" => Some(json!({ "forwards": forwards(pod, program, ip) })),
        _ => commands(node, pod, played, program, ip, mounts),
    };
    let namespace = pod.namespace().unwrap_or_default();
    let params = PatchParams::apply("sandbox").force();
    for (kind, plural) in KINDS {
        let Some(spec) = spec(kind) else { continue };
        let object = json!({
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": kind,
            "metadata": {
                "name": pod.name_any(),
                "namespace": namespace,
                "ownerReferences": pod.owner_ref(&()).map(|owner| vec![owner]),
            },
            "spec": spec,
        });
        let kind = resource(kind, plural);
        Api::<DynamicObject>::namespaced_with(node.cluster.client(), &namespace, &kind)
            .patch(&pod.name_any(), &params, &Patch::Apply(&object))
            .await?;
    }
    Ok(())
}

pub async fn remove(node: &Node, pod: &Pod) {
    let namespace = pod.namespace().unwrap_or_default();
    for (kind, plural) in KINDS {
        let kind = resource(kind, plural);
        // An object that is not deleted here is deleted with the pod, its owner.
        let _ = Api::<DynamicObject>::namespaced_with(node.cluster.client(), &namespace, &kind)
            .delete(&pod.name_any(), &DeleteParams::default())
            .await;
    }
}

/// A port-forward works without a declared port, so the well-known ports of the program are added.
fn forwards(pod: &Pod, program: Program, ip: Ipv4Addr) -> Vec<Value> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let declared = containers
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|port| u16::try_from(port.container_port).ok());
    let ports: BTreeSet<u16> = declared.chain(program.ports().iter().copied()).collect();
    let forward =
        |port| json!({ "ports": [port], "target": { "port": port, "address": ip.to_string() } });
    ports.into_iter().map(forward).collect()
}

fn commands(
    node: &Node,
    pod: &Pod,
    played: &Container,
    program: Program,
    ip: Ipv4Addr,
    mounts: &[Mount],
) -> Option<Value> {
    let known = program.commands()?;
    let ports: Vec<String> = played
        .ports
        .iter()
        .flatten()
        .map(|port| port.container_port.to_string())
        .chain(program.ports().iter().map(u16::to_string))
        .collect();
    let own = Some((ip, &ports[..]));
    let promtool = &node.world.promtool;
    let pod = Named::new(&pod.namespace().unwrap_or_default(), &pod.name_any());
    let envs = pod_commands::envs(node.control, known, own, &pod, mounts, promtool);
    Some(json!({ "execs": [{ "containers": [played.name], "local": { "envs": envs } }] }))
}
