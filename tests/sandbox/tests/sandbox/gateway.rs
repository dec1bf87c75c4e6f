//! The pod of a Gateway is a real Envoy that istiod configures. It runs for as long as the pod exists.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::snapshot::Snapshot;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams};
use kube::api::{Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{listening, processes};

const PATIENCE: Duration = Duration::from_secs(60);

/// Does not delete the Gateway at the end. Its Envoy ends with the run.
pub async fn is_an_envoy(cluster: &Cluster, run: &Path) -> Result<()> {
    let client = cluster.client();
    let before = Snapshot::settled(cluster).await?;
    let route = made_by_a_user();
    for object in &route {
        applied(&client, object).await?;
    }
    let first = envoy(run, &[]).await?;
    let addresses = listening(&first);
    ensure!(addresses.len() == 3, "it listens on {addresses:?}");
    for address in addresses {
        // The address 127.BLOCK.254.N, with the last byte first.
        let own = address.get(2..4) == Some("FE") && address.get(6..8) == Some("7F");
        ensure!(own, "it listens on {address}");
    }
    // kwok simulates the pod of helloworld, so Envoy reports that nothing answers.
    answers(cluster, "/hello", "503").await?;
    answers(cluster, "/", "404").await?;

    let after = Snapshot::take(cluster).await?;
    let changes = before.diff(&after).join("\n");
    ensure!(changes.contains("+ HTTPRoute sample/hello"), "{changes}");
    ensure!(!changes.contains("WorkloadEntry"), "ours show:\n{changes}");
    let entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
        "metadata": {"name": "x", "namespace": "sample"}, "spec": {"address": "192.0.2.9"},
    });
    applied(&client, &entry).await?;
    let theirs = after.diff(&Snapshot::take(cluster).await?);
    assert_eq!(theirs, ["+ WorkloadEntry sample/x"]);

    let status = Command::new("kill").args(["-9", &first]).status()?;
    ensure!(status.success(), "cannot kill Envoy");
    let second = envoy(run, &[&first]).await?;
    let pods: Api<Pod> = Api::namespaced(client, "sample");
    let of_gateway = ListParams::default().labels("gateway.networking.k8s.io/gateway-name=front");
    let pod = pods
        .list(&of_gateway)
        .await?
        .items
        .pop()
        .context("no pod")?;
    pods.delete(&pod.name_any(), &DeleteParams::default())
        .await?;
    let third = envoy(run, &[&first, &second]).await?;
    ensure!(
        !processes(run).contains(&second),
        "two Envoys: {second} and {third}"
    );
    answers(cluster, "/hello", "503").await
}

fn made_by_a_user() -> [Value; 2] {
    let (api, metadata) = (
        "gateway.networking.k8s.io/v1",
        |name| json!({"name": name, "namespace": "sample"}),
    );
    let listener = json!({"name": "http", "port": 8090, "protocol": "HTTP"});
    let path = json!({"path": {"type": "Exact", "value": "/hello"}});
    let to = json!([{"name": "helloworld", "port": 5000}]);
    [
        json!({
            "apiVersion": api, "kind": "Gateway", "metadata": metadata("front"),
            "spec": {"gatewayClassName": "istio", "listeners": [listener]},
        }),
        json!({
            "apiVersion": api, "kind": "HTTPRoute", "metadata": metadata("hello"),
            "spec": {
                "parentRefs": [{"name": "front"}],
                "rules": [{"matches": [path], "backendRefs": to}],
            },
        }),
    ]
}

async fn applied(client: &Client, object: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = text(&object["apiVersion"]);
    let (group, version) = version.split_once('/').context("no group")?;
    let kind = GroupVersionKind::gvk(group, version, &text(&object["kind"]));
    let kind = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "sample", &kind);
    let name = text(&object["metadata"]["name"]);
    let params = PatchParams::apply("somebody");
    api.patch(&name, &params, &Patch::Apply(object)).await?;
    Ok(())
}

/// Returns the process of an Envoy that serves and is not one of these.
async fn envoy(run: &Path, but: &[&str]) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_envoy = |pid: &String| {
            let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            exe.ends_with("envoy") && !but.contains(&pid.as_str())
        };
        let found = processes(run).into_iter().find(is_envoy);
        // Its own two listeners, and that of the Gateway after istiod has configured it.
        if let Some(pid) = found.filter(|pid| listening(pid).len() > 2) {
            return Ok(pid);
        }
        ensure!(Instant::now() < deadline, "no Envoy but {but:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the address from the load balancer answers with this status.
async fn answers(cluster: &Cluster, path: &str, status: &str) -> Result<()> {
    let services: Api<Service> = Api::namespaced(cluster.client(), "sample");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let service = services.get("front-istio").await?;
        let service = serde_json::to_value(service)?;
        let ip = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str();
        let answer = match ip.map(str::parse) {
            Some(ip) => asked(ip?, path).await.unwrap_or_default(),
            None => String::new(),
        };
        if answer.starts_with(&format!("HTTP/1.1 {status} ")) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{path}: {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn asked(ip: IpAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect((ip, 8090)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
