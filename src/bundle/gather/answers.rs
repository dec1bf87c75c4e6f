//! What the Prometheus servers and Kiali say of themselves, through port-forwards. None is asked for its configuration,
//! which may have credentials.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Of;
use crate::bundle::Found;
use crate::k8s::forward::{Connection, Target};
use crate::steps::{aggregate_metrics, cluster_prometheus, kiali};

/// Time limit for all answers of one server.
const PATIENCE: Duration = Duration::from_secs(10);

const PROMETHEUS: [(&str, &str); 3] = [
    ("targets", "/api/v1/targets?state=active"),
    ("buildinfo", "/api/v1/status/buildinfo"),
    ("runtimeinfo", "/api/v1/status/runtimeinfo"),
];

/// A server that is asked.
struct Server {
    title: &'static str,
    folder: &'static str,
    name: &'static str,
}

const CLUSTER: Server = Server {
    title: "Prometheus of the cluster",
    folder: "prometheus",
    name: "cluster",
};
const FEDERATION: Server = Server {
    title: "federating Prometheus",
    folder: "prometheus",
    name: "federation",
};
const KIALI: Server = Server {
    title: "Kiali",
    folder: "kiali",
    name: "server",
};

pub async fn answers(of: &Of<'_>) -> Found {
    let (cluster, home) = tokio::join!(of_cluster(of), of_home(of));
    let mut found = cluster;
    found.add(home);
    found
}

/// The Prometheus of the cluster.
async fn of_cluster(of: &Of<'_>) -> Found {
    if of.scope.cluster.prometheus.is_some() {
        let mut found = Found::default();
        let why = "it is outside of the install, and not asked";
        found.missing.push(of.missing(CLUSTER.title, why));
        return found;
    }
    let target = cluster_prometheus::served(of.scope).await;
    asked(of, CLUSTER, target, &PROMETHEUS).await
}

/// The federating Prometheus and Kiali, which only home has.
async fn of_home(of: &Of<'_>) -> Found {
    if !of.is_home() {
        return Found::default();
    }
    let federation = async {
        if of.scope.settings.store.is_some() {
            return Found::default();
        }
        let found = aggregate_metrics::Federation::find(of.scope).await;
        let target = found.map(|federation| federation.target().clone());
        asked(of, FEDERATION, target, &PROMETHEUS).await
    };
    let view = async {
        let target = kiali::target(of.scope).await;
        let target = target.and_then(|target| target.context("no Kiali pod is ready"));
        let path = format!("{}/api/status", kiali::WEB_ROOT);
        asked(of, KIALI, target, &[("status", &path)]).await
    };
    let (mut found, view) = tokio::join!(federation, view);
    found.add(view);
    found
}

async fn asked(
    of: &Of<'_>,
    server: Server,
    target: Result<Target>,
    paths: &[(&str, &str)],
) -> Found {
    let mut found = Found::default();
    let connected = async { Connection::open(of.scope, &target?, PATIENCE).await };
    let mut connection = match connected.await {
        Ok(connection) => connection,
        Err(error) => {
            found
                .missing
                .push(of.missing(server.title, format!("{error:#}")));
            return found;
        }
    };
    for (name, path) in paths {
        match connection.get::<Value>(path).await {
            Ok(mut answer) => {
                without_discovery(&mut answer);
                found
                    .files
                    .extend(of.json(&[server.folder, server.name, name], answer));
            }
            Err(error) => {
                let what = format!("{}: GET {path}", server.title);
                found.missing.push(of.missing(what, format!("{error:#}")));
            }
        }
    }
    found
}

/// Without the labels that a target had before it was relabelled: all labels and annotations of its pod.
fn without_discovery(answer: &mut Value) {
    let targets = answer.pointer_mut("/data/activeTargets");
    let targets = targets.and_then(Value::as_array_mut).into_iter().flatten();
    targets.filter_map(Value::as_object_mut).for_each(|target| {
        target.remove("discoveredLabels");
    });
}
