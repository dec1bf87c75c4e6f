//! Kiali with good clusters: what its API returns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ambikiali_sandbox::{Cluster, Sandbox};
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::operator::apply;
use crate::{PATIENCE, answers, ask, names};

pub async fn token(remote: &Cluster) -> Result<String> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "kiali", "namespace": "kiali",
            "annotations": {"kubernetes.io/service-account.name": "kiali-service-account"}},
    });
    apply(remote, secret).await?;
    let secrets: Api<Secret> = Api::namespaced(remote.client(), "kiali");
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let data = secrets.get("kiali").await?.data.unwrap_or_default();
        if let Some(token) = data.get("token") {
            return Ok(String::from_utf8(token.0.clone())?);
        }
        sleep(Duration::from_millis(20)).await;
    }
    bail!("no token")
}

pub fn kubeconfig(name: &str, server: &str, ca: &str, token: &str) -> String {
    let cluster = json!({"server": server, "certificate-authority-data": STANDARD.encode(ca)});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": {"token": token}}],
        "clusters": [{"name": name, "cluster": cluster}],
    });
    config.to_string()
}

/// Uses `data`, because a key that is removed from `stringData` would stay.
pub async fn remotes(home: &Cluster, kubeconfigs: &[(&str, &str)]) -> Result<()> {
    let data = kubeconfigs
        .iter()
        .map(|(key, text)| (*key, STANDARD.encode(text)));
    let data: BTreeMap<&str, String> = data.collect();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {"name": "kiali-multi-cluster-secret", "namespace": "kiali",
            "labels": {"kiali.io/kiali-multi-cluster-secret": "true"}},
    });
    apply(home, secret).await
}

pub fn reaches(status: &Value) -> bool {
    names(&status["externalServices"], "name").contains(&"Kubernetes-cluster2".into())
}

pub fn spans(namespaces: &Value) -> bool {
    names(namespaces, "cluster").contains(&"cluster2".into())
}

pub async fn sees_a_new_remote(home: &Cluster, remote: &Cluster) -> Result<()> {
    answers(home, "/healthz", |status, _| status == 200).await?;
    let before = answers(home, "/api/status", |status, _| status == 200).await?;
    assert!(!reaches(&before));
    let config = kubeconfig(
        "cluster2",
        remote.server(),
        remote.ca(),
        &token(remote).await?,
    );
    remotes(home, &[("cluster2", &config)]).await?;
    answers(home, "/api/status", |_, body| reaches(body)).await?;
    let namespaces = answers(home, "/api/namespaces", |_, body| spans(body)).await?;
    assert!(
        !names(&namespaces, "name")
            .iter()
            .any(|name| name.starts_with("kube-"))
    );
    let sample = namespaces
        .as_array()
        .and_then(|all| all.iter().find(|n| n["name"] == "sample"));
    assert_eq!(sample.map(|n| &n["isAmbient"]), Some(&json!(true)));
    let status = answers(home, "/api/istio/status", |status, _| status == 200).await?;
    let healthy = |c: &&Value| c["name"] == "istiod" && c["status"] == "Healthy";
    assert_eq!(
        status
            .as_array()
            .map(|all| all.iter().filter(healthy).count()),
        Some(2),
        "{status}"
    );
    let config = answers(home, "/api/config", |status, _| status == 200).await?;
    assert_eq!(config["clusters"]["cluster2"]["accessible"], true);
    assert_eq!(config["clusters"]["cluster1"]["isKialiHome"], true);
    assert_eq!(config["ambientEnabled"], true);
    assert_eq!(config["prometheus"]["enabled"], false);
    let planes = answers(home, "/api/mesh/controlplanes", |status, _| status == 200).await?;
    assert_eq!(names(&planes, "id"), ["cluster1", "cluster2"]);
    assert_eq!(planes[1]["config"]["network"], "network2");
    assert_eq!(planes[1]["externalControlPlane"], false);
    Ok(())
}

/// Prometheus, at Kiali's default address, scrapes both ztunnels.
pub async fn draws_the_edge(sandbox: &Sandbox) -> Result<()> {
    let home = sandbox.cluster("cluster1");
    let graph = "/api/namespaces/graph?namespaces=sample&duration=60s&injectServiceNodes=true";
    let empty = answers(home, graph, |status, _| status == 200).await?;
    assert_eq!(empty["elements"]["edges"], json!([]));
    let unknown = ask(home, "/api/namespaces/graph?namespaces=nope", PATIENCE).await?;
    assert_eq!(unknown.map(|(status, _)| status), Some(403));
    let mut targets = Vec::new();
    for cluster in sandbox.clusters() {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), "istio-system");
        for pod in pods
            .list(&ListParams::default().labels("app=ztunnel"))
            .await?
        {
            let ip = pod
                .status
                .and_then(|s| s.pod_ip)
                .context("ztunnel without an address")?;
            targets.push(format!("{ip}:15020"));
        }
    }
    prometheus(home, &targets).await?;
    answers(home, "/api/config", |_, body| {
        body["prometheus"]["enabled"] == true
    })
    .await?;
    let begin = Instant::now();
    loop {
        for _ in 0..10 {
            sandbox.world().traffic.request("cluster1").await?;
        }
        let (_, body) = ask(home, graph, PATIENCE).await?.context("no graph")?;
        if crosses(&body) {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < PATIENCE,
            "no edge between the clusters: {body}"
        );
        sleep(Duration::from_millis(300)).await;
    }
}

fn crosses(graph: &Value) -> bool {
    let list = |kind: &str| {
        graph["elements"][kind]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let nodes = list("nodes");
    let cluster = |id: &Value| {
        nodes
            .iter()
            .find(|n| n["data"]["id"] == *id)
            .map(|n| n["data"]["cluster"].clone())
    };
    // There is an edge from one cluster to the other, and not only to or from an unknown cluster.
    let ends = (Some(json!("cluster1")), Some(json!("cluster2")));
    list("edges").iter().any(|edge| {
        let data = &edge["data"];
        (cluster(&data["source"]), cluster(&data["target"])) == ends
    })
}

async fn prometheus(home: &Cluster, targets: &[String]) -> Result<()> {
    let config = json!({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "ztunnel", "static_configs": [{"targets": targets}]}],
    });
    let metadata =
        |name: &str| json!({"name": name, "namespace": "kiali", "labels": {"app": "prometheus"}});
    apply(
        home,
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("prometheus-config"),
            "data": {"prometheus.yml": config.to_string()},
        }),
    )
    .await?;
    let labels = json!({"app": "prometheus"});
    apply(
        home,
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata("prometheus"),
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 9090}]},
        }),
    )
    .await?;
    apply(
        home,
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("prometheus"),
            "spec": {"selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{"name": "prometheus", "image": "prom/prometheus:v3.16.0",
                        "volumeMounts": [{"name": "config", "mountPath": "/etc/prometheus"}]}],
                    "volumes": [{"name": "config", "configMap": {"name": "prometheus-config"}}],
                },
            }},
        }),
    )
    .await
}
