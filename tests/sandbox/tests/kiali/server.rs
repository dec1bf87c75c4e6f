//! Kiali: what it says about its clusters, and what a bad one does to it.

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
use crate::proxy::Proxy;
use crate::{PATIENCE, answers, ask, kiali_pods, names};

async fn token(remote: &Cluster) -> Result<String> {
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

fn kubeconfig(name: &str, server: &str, ca: &str, token: &str) -> String {
    let cluster = json!({"server": server, "certificate-authority-data": STANDARD.encode(ca)});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "users": [{"name": name, "user": {"token": token}}],
        "clusters": [{"name": name, "cluster": cluster}],
    });
    config.to_string()
}

/// As `data`: a key that is left out of `stringData` would stay.
async fn remotes(home: &Cluster, kubeconfigs: &[(&str, &str)]) -> Result<()> {
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

fn reaches(status: &Value) -> bool {
    names(&status["externalServices"], "name").contains(&"Kubernetes-cluster2".into())
}

fn spans(namespaces: &Value) -> bool {
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

/// Both ztunnels scraped by the Prometheus that Kiali's default address names.
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
    list("edges")
        .iter()
        .any(|edge| cluster(&edge["data"]["source"]) != cluster(&edge["data"]["target"]))
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

/// Refused: left out of the status at once. Hanging: everything hangs but the probe.
pub async fn remote_goes_away(home: &Cluster, remote: &Cluster) -> Result<()> {
    let mut proxy = Proxy::start(remote.server()).await?;
    let server = format!("https://127.0.0.1:{}", proxy.port);
    let config = kubeconfig("cluster2", &server, remote.ca(), &token(remote).await?);
    remotes(home, &[("cluster2", &config)]).await?;
    let through =
        |_: u16, body: &Value| body["clusters"]["cluster2"]["apiEndpoint"] == server.as_str();
    answers(home, "/api/config", through).await?;
    answers(home, "/api/namespaces", |_, body| spans(body)).await?;
    answers(home, "/api/istio/status", |status, _| status == 200).await?;

    proxy.refuse().await;
    let status = answers(home, "/api/status", |status, _| status == 200).await?;
    assert!(!reaches(&status), "{status}");
    let namespaces = answers(home, "/api/namespaces", |status, _| status == 200).await?;
    assert!(spans(&namespaces), "forgotten at once");
    assert_eq!(
        ask(home, "/api/istio/status", PATIENCE)
            .await?
            .map(|(status, _)| status),
        Some(200)
    );
    proxy.back().await?;
    answers(home, "/api/status", |_, body| reaches(body)).await?;

    proxy.freeze(true);
    let short = Duration::from_secs(2);
    assert_eq!(
        ask(home, "/healthz", short)
            .await?
            .map(|(status, _)| status),
        Some(200)
    );
    for path in [
        "/api/status",
        "/api/namespaces",
        "/api/istio/status",
        "/api/config",
    ] {
        assert_eq!(ask(home, path, short).await?, None, "{path} does not hang");
    }
    proxy.freeze(false);
    answers(home, "/api/namespaces", |_, body| spans(body)).await?;
    answers(home, "/api/status", |_, body| reaches(body)).await?;
    Ok(())
}

/// A refused or unauthorized remote ends Kiali; one under another name is half known.
pub async fn bad_remotes(home: &Cluster, remote: &Cluster) -> Result<()> {
    let token = token(remote).await?;
    let good = kubeconfig("cluster2", remote.server(), remote.ca(), &token);
    let refused = kubeconfig("cluster2", "https://127.0.0.1:1", remote.ca(), &token);
    let revoked = kubeconfig("cluster2", remote.server(), remote.ca(), "nobody");
    let stranger = kubeconfig("cluster2", remote.server(), home.ca(), &token);
    for (config, why) in [
        (refused, "onnection refused"),
        (revoked, "asked for the client to provide credentials"),
        (stranger, "x509"),
    ] {
        remotes(home, &[("cluster2", &config)]).await?;
        ends(home, why).await?;
    }
    remotes(home, &[("other", &good), ("empty", "")]).await?;
    let status = answers(home, "/api/status", |status, _| status == 200).await?;
    assert!(names(&status["externalServices"], "name").contains(&"Kubernetes-other".into()));
    let namespaces = answers(home, "/api/namespaces", |status, _| status == 200).await?;
    assert!(!spans(&namespaces));
    let broken = answers(home, "/api/istio/status", |status, _| status == 500).await?;
    assert_eq!(broken["error"], "cache for cluster [other] not found");
    remotes(home, &[("cluster2", &good)]).await?;
    answers(home, "/api/namespaces", |_, body| spans(body)).await?;
    Ok(())
}

/// Exit code 1 and its reason in the log.
async fn ends(home: &Cluster, why: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(home.client(), "kiali");
    let begin = Instant::now();
    let mut last = String::new();
    while begin.elapsed() < PATIENCE {
        for pod in kiali_pods(home).await? {
            let name = pod.metadata.name.unwrap_or_default();
            let Ok(log) = pods.logs(&name, &Default::default()).await else {
                continue;
            };
            if log
                .lines()
                .any(|line| line.starts_with("FTL") && line.contains(why))
            {
                return Ok(());
            }
            last = log;
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("Kiali does not end with {why}: {last}")
}
