//! Starts Kiali, which a single bad remote can prevent. Kiali serves only when the caches of all clusters are filled.
//! It exits if a cluster cannot be reached, and waits forever if one answers 403.

use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service};
use kube::api::ListParams;
use kube::{Api, Client, Config as Kube, Error};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::Kiali;
use super::clusters::{Cluster, Clusters, cluster_id};
use super::config::Config;
use super::kubeconfig::{Remote, patient, read};
use crate::standin::container::Container;

const REMOTES: &str = "/kiali-remote-cluster-secrets/";

pub(super) async fn clusters(container: &Container, config: &Config) -> Result<Clusters, String> {
    let name = home_name(container, config).await;
    let (remotes, log) = read(&folders(container), &name);
    log.iter().for_each(|line| container.log(line));
    let server = container.cluster.server();
    let home = Cluster::new(
        name.clone(),
        name,
        String::new(),
        server.into(),
        container.client.clone(),
    );
    container.log(home.discovered(true));
    let remotes = remotes.iter().map(|remote| reach(container, remote));
    let (remotes, ()) = tokio::try_join!(try_join_all(remotes), synced(container, &home))?;
    Ok(Clusters { home, remotes })
}

/// Returns the mounted folders. Each Secret has its own mount.
fn folders(container: &Container) -> Vec<(String, PathBuf)> {
    let mounts = container.spec.volume_mounts.iter().flatten();
    mounts
        .filter_map(|mount| {
            let secret = mount.mount_path.strip_prefix(REMOTES)?;
            Some((secret.to_string(), container.path(&mount.mount_path)?))
        })
        .collect()
}

async fn home_name(container: &Container, config: &Config) -> String {
    if !config.home.is_empty() {
        return config.home.clone();
    }
    let istiods: Api<Deployment> = Api::all(container.client.clone());
    let first = istiods
        .list(&ListParams::default().labels("app=istiod"))
        .await
        .ok();
    let id = first.and_then(|list| cluster_id(list.items.first()?));
    id.unwrap_or_else(|| {
        container.log("WRN Cannot resolve local cluster name. Falling back to [Kubernetes]");
        "Kubernetes".into()
    })
}

async fn reach(container: &Container, remote: &Remote) -> Result<Cluster, String> {
    let config = remote.config(|path| container.path(path)).await?;
    let failed = |why: String| {
        format!(
            "failed to determine if *v1.Pod is namespaced: failed to get restmapping: failed to get server \
             groups: Get \"{}/api\": {why}",
            remote.server()
        )
    };
    probe(config.clone()).await.map_err(failed)?;
    let server = remote.server();
    let client = patient(config)?;
    let cluster = Cluster::new(
        remote.key.clone(),
        remote.name.clone(),
        remote.secret.clone(),
        server,
        client,
    );
    container.log(cluster.discovered(false));
    synced(container, &cluster).await?;
    Ok(cluster)
}

/// Connects to the API server with Go's timeouts: 30 s for the connection, 10 s for the TLS handshake.
async fn probe(mut config: Kube) -> Result<(), String> {
    let url = &config.cluster_url;
    let host = url
        .host()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_string();
    let port = url.port_u16().unwrap_or(443);
    let dial = |why: String| format!("dial tcp {host}:{port}: {why}");
    let connected = timeout(
        Duration::from_secs(30),
        TcpStream::connect((host.as_str(), port)),
    )
    .await;
    match connected {
        Err(_) => return Err(dial("i/o timeout".into())),
        Ok(Err(why)) => return Err(dial(format!("connect: {why}"))),
        Ok(Ok(_)) => {}
    }
    config.connect_timeout = Some(Duration::from_secs(10));
    let client = Client::try_from(config).map_err(|e| e.to_string())?;
    match client.list_core_api_versions().await {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.code == 401 => {
            Err("the server has asked for the client to provide credentials".into())
        }
        Err(Error::Api(status)) if status.code == 403 => Ok(()),
        Err(Error::Api(status)) => Err(status.message),
        Err(why) => Err(tls(&why)),
    }
}

/// Includes the causes, because the outermost error has no details.
fn tls(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if text.contains("deadline has elapsed") || text.contains("timed out") {
        return "net/http: TLS handshake timeout".into();
    }
    match text.contains("certificate") {
        true => format!("tls: failed to verify certificate: x509: {text}"),
        false => text,
    }
}

/// Lists each kind once. The first 403 permanently removes the cluster's caches.
async fn synced(container: &Container, cluster: &Cluster) -> Result<(), String> {
    let client = &cluster.client;
    tokio::join!(
        list::<Namespace>(container, client),
        list::<Pod>(container, client),
        list::<Service>(container, client),
        list::<ConfigMap>(container, client),
        list::<DaemonSet>(container, client),
        list::<Deployment>(container, client),
        list::<ReplicaSet>(container, client),
        list::<StatefulSet>(container, client),
    );
    Ok(())
}

async fn list<K>(container: &Container, client: &Client)
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::all(client.clone());
    loop {
        match api.list_metadata(&ListParams::default().limit(1)).await {
            Ok(_) => return,
            Err(Error::Api(status)) if status.code == 403 => {
                container.log(format_args!("ERR {}", status.message));
                pending::<()>().await;
            }
            Err(why) => container.log(format_args!("ERR cannot list {}: {why}", K::plural(&()))),
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Polls once before the server listens, for at most one polling interval.
pub(super) async fn poll_istiods(kiali: &Kiali) {
    let polls = kiali.clusters.all().map(|cluster| cluster.istiods(kiali));
    let _ = timeout(Duration::from_secs(20), join_all(polls)).await;
}
