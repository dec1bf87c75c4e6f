//! The sample apps with which Istio's multi-cluster documentation verifies an installation: curl in every cluster,
//! helloworld v1 in the first one and v2 in the others.

use anyhow::Result;
use kube::Client;
use serde_json::{Value, json};

use super::manifests::apply;

pub async fn deploy(client: &Client, index: usize) -> Result<()> {
    let version = if index == 0 { "v1" } else { "v2" };
    let image = format!("docker.io/istio/examples-helloworld-{version}:1.0");
    let versioned = format!("helloworld-{version}");
    let objects = [
        deployment("curl", "curl", None, "curlimages/curl"),
        service("curl", json!({}), json!([{"name": "http", "port": 80}])),
        deployment(&versioned, "helloworld", Some(version), &image),
        // Global: the Services with this name in all clusters are one service of the mesh.
        service(
            "helloworld",
            json!({"istio.io/global": "true"}),
            json!([{"name": "http", "port": 5000}]),
        ),
    ];
    apply(client, "kubectl", &objects).await
}

fn deployment(name: &str, app: &str, version: Option<&str>, image: &str) -> Value {
    let mut labels = json!({"app": app});
    if let Some(version) = version {
        labels["version"] = json!(version);
    }
    let mut container = json!({"name": app, "image": image});
    match version {
        Some(_) => container["ports"] = json!([{"containerPort": 5000}]),
        None => container["command"] = json!(["/bin/sleep", "infinity"]),
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "sample", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container]},
            },
        },
    })
}

fn service(name: &str, labels: Value, ports: Value) -> Value {
    let mut all = json!({"app": name, "service": name});
    if let (Some(all), Some(labels)) = (all.as_object_mut(), labels.as_object()) {
        all.extend(labels.clone());
    }
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "sample", "labels": all},
        "spec": {"selector": {"app": name}, "ports": ports},
    })
}
