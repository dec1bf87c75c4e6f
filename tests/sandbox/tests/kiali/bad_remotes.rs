//! Effects of a bad remote on Kiali, at its start and later.

use std::time::{Duration, Instant};

use ambikiali_sandbox::Cluster;
use anyhow::{Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::Value;
use tokio::time::sleep;

use crate::proxy::Proxy;
use crate::server::{kubeconfig, reaches, remotes, spans, token};
use crate::{PATIENCE, answers, ask, kiali_pods, names};

/// A remote that refuses connections is left out of the status at once. If it hangs, everything hangs except for the
/// probe.
pub async fn away_and_back(home: &Cluster, remote: &Cluster) -> Result<()> {
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

/// A remote that is refused or unauthorized makes Kiali exit. A remote with another name is half known.
pub async fn at_the_start(home: &Cluster, remote: &Cluster) -> Result<()> {
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

/// After a 403 Kiali neither exits nor serves. Granting the rights later does not change that.
pub async fn without_rights(home: &Cluster, remote: &Cluster) -> Result<()> {
    let nobody = remote.token("default", "default").await?;
    let config = kubeconfig("cluster2", remote.server(), remote.ca(), &nobody);
    remotes(home, &[("cluster2", &config)]).await?;
    let begin = Instant::now();
    // Waits until only the restarted pod is left.
    while kiali_pods(home).await?.len() != 1 || ask(home, "/healthz", PATIENCE).await?.is_some() {
        if begin.elapsed() > PATIENCE {
            bail!("Kiali serves with a remote that refuses it");
        }
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(home, "/healthz", PATIENCE).await?, None);
    let good = kubeconfig(
        "cluster2",
        remote.server(),
        remote.ca(),
        &token(remote).await?,
    );
    remotes(home, &[("cluster2", &good)]).await?;
    answers(home, "/api/namespaces", |_, body| spans(body)).await?;
    Ok(())
}

/// Waits until Kiali logs this reason as fatal, after which it exits with code 1.
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
