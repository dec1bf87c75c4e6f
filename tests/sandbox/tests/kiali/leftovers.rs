//! What the operator leaves behind, and what it removes.

use std::time::Duration;

use ambikiali_sandbox::Cluster;
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::operator::apply;
use crate::{PATIENCE, condition, kialis, settled, until};

/// Waits until no run has changed the CR for two seconds, because earlier steps may have triggered one.
async fn idle(home: &Cluster) -> Result<()> {
    let version = async || anyhow::Ok(kialis(home).get("kiali").await?.metadata.resource_version);
    let mut last = None;
    loop {
        let now = version().await?;
        if now == last {
            return Ok(());
        }
        last = now;
        sleep(Duration::from_secs(2)).await;
    }
}

/// The next run mounts the Secret of a remote. No run removes the mount again.
pub async fn a_removed_secret_stays_mounted(home: &Cluster) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": {"cluster3": ""},
        "metadata": {"name": "kiali-remote-cluster-secret-cluster3", "namespace": "kiali",
            "labels": {"kiali.io/multiCluster": "true"}, "annotations": {"kiali.io/cluster": "cluster3"}},
    });
    let deployments: Api<Deployment> = Api::namespaced(home.client(), "kiali");
    let mounted = async || {
        let volumes = deployments
            .get("kiali")
            .await?
            .spec
            .template
            .spec
            .and_then(|s| s.volumes);
        anyhow::Ok(
            volumes
                .unwrap_or_default()
                .iter()
                .any(|v| v.name == "cluster3"),
        )
    };
    let touch = async |n: u32| {
        let patch = json!({"metadata": {"annotations": {"kiali.io/reconcile": n.to_string()}}});
        kialis(home)
            .patch("kiali", &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        until(home, "noticed", |cr| {
            condition(cr, "Running") == "True/Running"
        })
        .await?;
        settled(home).await
    };
    idle(home).await?;
    apply(home, secret).await?;
    sleep(Duration::from_millis(300)).await;
    ensure!(!mounted().await?, "mounted without a run");
    touch(1).await?;
    ensure!(mounted().await?, "not mounted by a run");
    let secrets: Api<Secret> = Api::namespaced(home.client(), "kiali");
    secrets
        .delete(
            "kiali-remote-cluster-secret-cluster3",
            &DeleteParams::default(),
        )
        .await?;
    touch(2).await?;
    ensure!(mounted().await?, "the volume is gone");
    Ok(())
}

pub async fn removal(home: &Cluster, remote: &Cluster) -> Result<()> {
    for cluster in [home, remote] {
        kialis(cluster)
            .delete("kiali", &DeleteParams::default())
            .await?;
    }
    for cluster in [home, remote] {
        let gone = async {
            while kialis(cluster).get_opt("kiali").await?.is_some() {
                sleep(Duration::from_millis(20)).await;
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE, gone).await.context("the CR hangs")??;
        let bindings: Api<ClusterRoleBinding> = Api::all(cluster.client());
        assert!(bindings.get_opt("kiali").await?.is_none());
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client(), "kiali");
        assert!(accounts.get_opt("kiali-service-account").await?.is_none());
    }
    let secrets: Api<Secret> = Api::namespaced(home.client(), "kiali");
    assert!(secrets.get_opt("kiali-signing-key").await?.is_none());
    assert!(
        secrets
            .get_opt("kiali-multi-cluster-secret")
            .await?
            .is_some()
    );
    Ok(())
}
