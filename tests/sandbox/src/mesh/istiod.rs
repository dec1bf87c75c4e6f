//! Runs the real istiod as a process beside the cluster. The chart's Deployment exists too, simulated by kwok, for
//! clients that look for istiod in the cluster.
//!
//! The settings of istiod exclude what only Istio's own build of Envoy supports (metadata exchange, ALPN and metrics
//! filters) and what only an agent beside Envoy would fetch (certificates for other workloads).
//!
//! What it cannot show: webhooks that call istiod, because its Service leads nowhere.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::manifests::apply;
use crate::cluster::{Cluster, ISTIOD_OTHERS};

/// Ports of the container: one for `/ready`, and one for `/metrics` and debugging.
const HTTP: u16 = 8080;
const MONITORING: u16 = 15014;
const COMPLAINTS: usize = 6;
const LONGEST: usize = 240;

pub fn start(cluster: &Cluster, program: &Path, charts: &[Value]) -> Result<()> {
    let folder = folder(cluster);
    let config = folder.join("etc/istio/config");
    fs::create_dir_all(&config)?;
    fs::write(config.join("mesh"), for_plain_envoy(mesh_config(charts)?)?)?;
    let address = |port: u16| format!("{}:{port}", Ipv4Addr::LOCALHOST);
    let other = |k| cluster.addresses().port(ISTIOD_OTHERS + k);
    let log = File::create(log(cluster))?;

    let mut command = cluster.command(program);
    command.arg("discovery");
    command.arg("--kubeconfig").arg(cluster.kubeconfig());
    command.args(["--clusterID", cluster.name()]);
    command.args(["--httpAddr", &address(cluster.istiod_http_port())]);
    command.args(["--monitoringAddr", &address(other(0))]);
    command.args(["--grpcAddr", &address(other(1))]);
    command.args(["--secureGRPCAddr", &address(other(2))]);
    command.args(["--httpsAddr", &address(other(3))]);
    command.args(["--ctrlz_port", &other(4).to_string()]);
    command.envs([
        ("POD_NAMESPACE", "istio-system"),
        ("POD_NAME", "istiod-0"),
        ("REVISION", "default"),
        ("CLUSTER_ID", cluster.name()),
        ("PILOT_CERT_PROVIDER", "istiod"),
        ("PILOT_ENABLE_AMBIENT", "true"),
        ("AMBIENT_ENABLE_MULTI_NETWORK", "true"),
        ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
        ("PILOT_ENABLE_ALPN_FILTER", "false"),
        ("PILOT_ENABLE_SENDING_HBONE", "false"),
    ]);
    command
        .current_dir(&folder)
        .stdout(log.try_clone()?)
        .stderr(log);
    cluster.keep_running(command, pid_file(cluster))
}

fn pid_file(cluster: &Cluster) -> PathBuf {
    folder(cluster).join("istiod.pid")
}

impl Cluster {
    /// Suspends istiod, which would repair what a test breaks.
    pub fn pause_istiod(&self) -> Result<()> {
        self.signal_istiod(Signal::STOP)
    }

    pub fn resume_istiod(&self) -> Result<()> {
        self.signal_istiod(Signal::CONT)
    }

    /// Restarts istiod, and waits until it serves. One that could not renew its Leases, while its API server was away, does
    /// not write its ConfigMaps to new namespaces any more.
    pub async fn restart_istiod(&self) -> Result<()> {
        let pid = || fs::read_to_string(pid_file(self));
        let old = pid()?;
        self.signal_istiod(Signal::KILL)?;
        let ready = format!("http://127.0.0.1:{}/ready", self.istiod_http_port());
        let serves = async {
            while pid().is_ok_and(|new| new == old) || !is_ok(&ready).await {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let served = timeout(Duration::from_secs(180), serves).await;
        served.with_context(|| format!("istiod of {} does not come back", self.name()))
    }

    /// Returns the last warnings and errors from its log, the newest one last.
    pub fn istiod_complaints(&self) -> Vec<String> {
        let log = fs::read_to_string(log(self)).unwrap_or_default();
        let complaints = log.lines().filter(|line| {
            let level = line.split('\t').nth(1);
            let is_one = matches!(level, Some("warn" | "error" | "fatal"));
            // Nothing can reach the webhook here, which istiod reports all the time.
            is_one && !line.contains("webhook is not ready")
        });
        let complaints = complaints.map(|line| line.chars().take(LONGEST).collect());
        let complaints: Vec<String> = complaints.collect();
        complaints[complaints.len().saturating_sub(COMPLAINTS)..].to_vec()
    }

    fn signal_istiod(&self, signal: Signal) -> Result<()> {
        let pid = fs::read_to_string(pid_file(self))?.parse()?;
        let pid = Pid::from_raw(pid).context("no process has the number 0")?;
        Ok(kill_process(pid, signal)?)
    }
}

async fn is_ok(url: &str) -> bool {
    let answer = timeout(Duration::from_secs(5), reqwest::get(url)).await;
    matches!(answer, Ok(Ok(answer)) if answer.status().is_success())
}

/// Lets port-forwards to istiod's pod reach the process. Kiali and `check` use them.
pub async fn forward(cluster: &Cluster) -> Result<()> {
    let to = |from: u16, port: u16| json!({"ports": [from], "target": {"address": "127.0.0.1", "port": port}});
    let monitoring = cluster.addresses().port(ISTIOD_OTHERS);
    let forward = json!({
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterPortForward",
        "metadata": {"name": "istiod"},
        "spec": {
            "selector": {"matchNamespaces": ["istio-system"]},
            "forwards": [to(HTTP, cluster.istiod_http_port()), to(MONITORING, monitoring)],
        },
    });
    apply(&cluster.client(), "sandbox", &[forward]).await
}

/// The working folder of istiod. It contains the paths that istiod has in a container.
pub fn folder(cluster: &Cluster) -> PathBuf {
    cluster.dir().join("istiod")
}

pub fn log(cluster: &Cluster) -> PathBuf {
    cluster.dir().join("istiod.log")
}

fn mesh_config(charts: &[Value]) -> Result<&str> {
    let found = charts.iter().find(|object| {
        object["kind"] == json!("ConfigMap") && object["metadata"]["name"] == json!("istio")
    });
    let mesh = found.and_then(|map| map["data"]["mesh"].as_str());
    mesh.context("the chart has no ConfigMap istio")
}

/// Changes settings for which istiod has no environment variables. The ConfigMap in the cluster stays unchanged.
fn for_plain_envoy(mesh: &str) -> Result<String> {
    let mut mesh: Value = serde_yaml::from_str(mesh).context("the chart's mesh is not YAML")?;
    let fields = mesh.as_object_mut().context("the chart's mesh is empty")?;
    fields.remove("defaultProviders");
    fields.insert("enableAutoMtls".into(), json!(false));
    Ok(serde_json::to_string_pretty(&mesh)?)
}
