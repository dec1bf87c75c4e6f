//! `ambikiali estimate` beside what is then measured: the Prometheus of a cluster, as an install makes it, scrapes the
//! generated mesh; `estimate` asks it, and then a home pulls from it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ambikiali_sandbox::{Cluster, Sandbox};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;

use super::mesh::Mesh;
use super::server::Server;
use super::{Bench, MOST, PROFILES, scraping, table};
use crate::product::{CLUSTERS, show};

const NAMESPACE: &str = "istio-system";
const NAME: &str = "prometheus";
const PODS: &str = "app.kubernetes.io/name=prometheus";
/// How often a page is timed. The median counts.
const TIMES: usize = 5;
/// How many pulls a home makes before its memory is read.
const PULLS: usize = 4;

/// The figures of one profile.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    pub series: f64,
    pub bytes: f64,
    pub gzip: f64,
    pub seconds: f64,
    /// Of home, in bytes. Zero if nothing was pulled.
    pub memory: f64,
}

/// What was estimated and what was measured of a profile.
pub struct Both {
    pub workloads: usize,
    pub profile: &'static str,
    pub estimated: Figures,
    pub measured: Figures,
}

pub async fn all(bench: &Bench, sandbox: &Sandbox, sizes: &[usize]) -> Result<Vec<Both>> {
    let install = format!(
        "install --ctx1 {} --ctx2 {} --allow-loopback",
        CLUSTERS[0], CLUSTERS[1]
    );
    let quiet = (Stdio::null(), Stdio::null());
    let installed = show(sandbox, &bench.ambikiali, &install, quiet).await?;
    ensure!(installed.code == Some(0), "ambikiali {install} failed");
    let mut all = Vec::new();
    for workloads in sizes {
        all.extend(of_size(bench, sandbox, *workloads).await?);
    }
    Ok(all)
}

async fn of_size(bench: &Bench, sandbox: &Sandbox, workloads: usize) -> Result<Vec<Both>> {
    let served = Mesh::of(workloads).serve().await?;
    let (_, config) = bench.configs("core", "127.0.0.1:9090")?;
    let config = scraping(config, &served);
    let edge = with(sandbox.cluster(CLUSTERS[0]), &config).await?;
    bench.scraped(&edge, served.pods()).await?;
    let told = estimate(bench, sandbox).await?;
    let mut both = Vec::new();
    for (profile, number) in PROFILES.into_iter().zip(0..) {
        let measured = measured(bench, &edge, profile, workloads).await?;
        both.push(Both {
            workloads,
            profile,
            estimated: estimated(&told, profile)?,
            measured,
        });
        eprintln!("{}", table::both(&both[number]));
    }
    Ok(both)
}

/// Gives the Prometheus of a cluster another configuration, and waits for its new pod.
async fn with(cluster: &Cluster, config: &Value) -> Result<Server> {
    let maps = Api::<ConfigMap>::namespaced(cluster.client(), NAMESPACE);
    let data = json!({"data": {"prometheus.yml": config.to_string()}});
    let patch = Patch::Merge(&data);
    maps.patch(NAME, &PatchParams::default(), &patch).await?;
    let pods = Api::<Pod>::namespaced(cluster.client(), NAMESPACE);
    let (ours, begin) = (ListParams::default().labels(PODS), Instant::now());
    let old = pods.list(&ours).await?.items;
    let names = old.iter().filter_map(|pod| pod.metadata.name.clone());
    let names = names.collect::<Vec<_>>();
    for name in &names {
        pods.delete(name, &DeleteParams::default()).await?;
    }
    loop {
        let now = pods.list(&ours).await?.items;
        let new = now.iter().find(|pod| {
            let name = pod.metadata.name.as_ref();
            name.is_some_and(|name| !names.contains(name)) && is_ready(pod)
        });
        let address = new.and_then(|pod| pod.status.as_ref()?.pod_ip.clone());
        if let Some(address) = address {
            return Server::at(&format!("{address}:9090"));
        }
        let waited = begin.elapsed();
        ensure!(waited < Duration::from_secs(120), "no new pod is ready");
        sleep(Duration::from_secs(1)).await;
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|one| one.type_ == "Ready" && one.status == "True")
}

async fn estimate(bench: &Bench, sandbox: &Sandbox) -> Result<Value> {
    let said = Command::new(&bench.ambikiali)
        .args(["estimate", "-o", "json"])
        .env("KUBECONFIG", sandbox.kubeconfig())
        .env("XDG_STATE_HOME", sandbox.folder())
        .kill_on_drop(true)
        .output()
        .await?;
    let stderr = String::from_utf8_lossy(&said.stderr);
    serde_json::from_slice(&said.stdout).with_context(|| format!("ambikiali estimate: {stderr}"))
}

fn estimated(told: &Value, profile: &str) -> Result<Figures> {
    let named = |list: &Value| {
        let list = list.as_array()?.iter();
        let mut list = list.filter(|one| one["profile"] == profile);
        list.next().cloned()
    };
    let edges = told["estimates"].as_array().into_iter().flatten();
    let mut edges = edges.filter(|one| one["cluster"] == CLUSTERS[0]);
    let edge = edges.next().and_then(|one| named(&one["profiles"]));
    let edge = edge.context("the estimate lacks the cluster")?;
    let home = named(&told["home"]).context("the estimate lacks home")?;
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    Ok(Figures {
        series: number(&edge["series"]),
        bytes: number(&edge["bytes"]),
        gzip: number(&edge["compressedBytes"]),
        seconds: number(&edge["seconds"]),
        memory: number(&home["memoryBytes"]),
    })
}

async fn measured(
    bench: &Bench,
    edge: &Server,
    profile: &str,
    workloads: usize,
) -> Result<Figures> {
    let (mut config, _) = bench.configs(profile, &edge.address)?;
    let job = &mut config["scrape_configs"][0];
    let selectors = job["params"]["match[]"].as_array().cloned();
    let selectors = selectors.context("selectors")?;
    job["sample_limit"] = json!(0);
    job["body_size_limit"] = json!(0);
    let plain = edge.federate(&selectors, false).await?;
    let mut times = Vec::new();
    let mut gzip = 0;
    for _ in 0..TIMES {
        // As a home asks.
        let page = edge.federate(&selectors, true).await?;
        gzip = page.bytes;
        times.push(page.took);
    }
    times.sort();
    let mut figures = Figures {
        series: plain.series() as f64,
        bytes: plain.bytes as f64,
        gzip: gzip as f64,
        seconds: times[TIMES / 2].as_secs_f64(),
        memory: 0.0,
    };
    if plain.lines <= MOST {
        figures.memory = memory(bench, &config, &format!("{profile}-of-{workloads}")).await?;
    }
    Ok(figures)
}

/// The most memory of a home that pulls, in bytes. Zero if one of its pulls failed.
async fn memory(bench: &Bench, config: &Value, name: &str) -> Result<f64> {
    let home = bench.server(&format!("home-{name}"), config).await?;
    let begin = Instant::now();
    let patience = bench.every()? * 4 * PULLS as u32;
    loop {
        sleep(Duration::from_secs(1)).await;
        let ups = home.query("up[1h]").await?;
        if ups.len() >= PULLS {
            let most = home.most_memory()? * 1024.0 * 1024.0;
            let whole = ups.iter().all(|up| *up == 1.0);
            home.stop().await?;
            return Ok(if whole { most } else { 0.0 });
        }
        ensure!(begin.elapsed() < patience, "home does not pull");
    }
}
