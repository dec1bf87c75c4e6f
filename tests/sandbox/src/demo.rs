//! `sandbox demo`: runs ambikiali from install to cleanup on two clusters and shows its output. In between, it asks the
//! clusters what an outsider and the holder of Kiali's token would ask them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use ambikiali_sandbox::run::{build, target};
use ambikiali_sandbox::{Cluster, Sandbox};
use anyhow::{Context, Result, bail, ensure};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use tokio::process::Command;

use crate::product::{CLUSTERS, Shown, show};
use crate::signals::Signals;

/// The commands before the questions. The addresses here are on loopback, which install rejects without the flag.
const PROVEN: [&str; 2] = [
    "install --ctx1 cluster1 --ctx2 cluster2 --allow-loopback",
    "verify --ctx1 cluster1 --ctx2 cluster2",
];
/// Those after them, which remember the contexts.
const RENEWED: &str = "rotate --certificates";
const REPORTED: &str = "verify --pairs all --report demo.html";
const ENDED: [&str; 2] = ["status", "cleanup"];

/// What the last verify of the demo found.
struct Report {
    /// Each flow from a cluster to a cluster, as verify prints them.
    matrix: String,
    page: PathBuf,
}

/// The account whose token Kiali uses in the remote, and what it may do there.
const ACCOUNT: &str = "system:serviceaccount:kiali:kiali-service-account";
const RIGHTS: [(&str, bool); 3] = [
    ("list pods", true),
    ("create pods", false),
    ("get secrets", false),
];

#[tokio::main]
pub async fn run(delays: bool) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    eprintln!("building ambikiali");
    let program = build("ambikiali")?;
    let names = CLUSTERS.map(String::from);
    let sandbox = signals.start(&names, delays).await?;
    let told = signals.or(tell(&sandbox, &program)).await;
    sandbox.stop().await?;
    let (shown, report) = told?;
    summarize(&shown);
    println!("\nThe flows from each cluster to each cluster, after the renewal of certificates:\n");
    print!("{}", report.matrix);
    println!(
        "\nThe same with each hop, as a page: {}",
        report.page.display()
    );
    let failed = shown.iter().any(|one| one.code != Some(0));
    Ok(ExitCode::from(u8::from(failed)))
}

async fn tell(sandbox: &Sandbox, program: &Path) -> Result<(Vec<Shown>, Report)> {
    let mut shown = all(sandbox, program, &PROVEN).await?;
    // Nothing can be asked of an install that failed.
    if shown.iter().all(|one| one.code == Some(0)) {
        let remote = sandbox.cluster(CLUSTERS[1]);
        gateway(remote).await?;
        rights(sandbox, remote).await?;
    }
    shown.extend(all(sandbox, program, &[RENEWED]).await?);
    let (reported, report) = reported(sandbox, program).await?;
    shown.push(reported);
    shown.extend(all(sandbox, program, &ENDED).await?);
    Ok((shown, report))
}

/// Verifies with a page as report, which outlives the clusters.
async fn reported(sandbox: &Sandbox, program: &Path) -> Result<(Shown, Report)> {
    println!("\n$ ambikiali {REPORTED}");
    let file = sandbox.folder().join("verify.txt");
    let output = (File::create(&file)?.into(), Stdio::inherit());
    let shown = show(sandbox, program, REPORTED, output).await?;
    let text = fs::read_to_string(&file)?;
    print!("{text}");
    let page = target()?.join("sandbox").join("demo.html");
    fs::copy(sandbox.folder().join("demo.html"), &page).context("verify wrote no page")?;
    let lines = text.lines().skip_while(|line| !line.starts_with("from "));
    let matrix = lines.take(CLUSTERS.len() + 1);
    let matrix = matrix.map(|line| format!("  {line}\n")).collect();
    Ok((shown, Report { matrix, page }))
}

async fn all(sandbox: &Sandbox, program: &Path, commands: &[&str]) -> Result<Vec<Shown>> {
    let mut shown = Vec::new();
    for command in commands {
        println!("\n$ ambikiali {command}");
        let output = (Stdio::inherit(), Stdio::inherit());
        shown.push(show(sandbox, program, command, output).await?);
    }
    Ok(shown)
}

/// Asks the Gateway for metrics as somebody without a client certificate.
async fn gateway(cluster: &Cluster) -> Result<()> {
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "Gateway");
    let kind = ApiResource::from_gvk(&kind);
    let gateways = Api::<DynamicObject>::namespaced_with(cluster.client(), "istio-system", &kind);
    let gateway = gateways.get("prometheus-gateway").await?;
    let address = gateway.data["status"]["addresses"][0]["value"].as_str();
    let address = address.context("the Gateway has no address")?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        // With TLS 1.3, the reason for a refusal comes after the handshake, and the client has often given up by then.
        .tls_version_max(reqwest::tls::Version::TLS_1_2)
        // Its certificate is its own, and only a refusal is expected.
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let name = cluster.name();
    println!("\nThe metrics of {name}, asked for without a client certificate:");
    for scheme in ["https", "http"] {
        let url = format!("{scheme}://{address}:9090/federate");
        match client.get(&url).send().await {
            Ok(answer) => bail!("GET {url} was answered with {}", answer.status()),
            Err(error) => println!("GET {url}: refused: {}", root_cause(&error)),
        }
    }
    Ok(())
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Asks the API server what the account may do whose token Kiali uses.
async fn rights(sandbox: &Sandbox, cluster: &Cluster) -> Result<()> {
    let name = cluster.name();
    println!("\nWhat Kiali's token for {name} may do, by the API server:");
    for (right, is_given) in RIGHTS {
        let words = format!("--context {name} auth can-i {right} -A --as {ACCOUNT}");
        println!("$ kubectl {words}");
        let mut kubectl = Command::new(&sandbox.tools().kubectl);
        kubectl.args(words.split(' ')).kill_on_drop(true);
        kubectl.env("KUBECONFIG", sandbox.kubeconfig());
        kubectl.env("KUBECACHEDIR", sandbox.folder());
        let answer = kubectl.output().await.context("cannot start kubectl")?;
        let answer = String::from_utf8_lossy(&answer.stdout);
        print!("{answer}");
        let expected = if is_given { "yes" } else { "no" };
        ensure!(answer.trim() == expected, "it should answer {expected}");
    }
    Ok(())
}

fn summarize(shown: &[Shown]) {
    println!("\nWhat was shown, on real API servers (requests by their audit logs):\n");
    println!(
        "  {:>6}  {:>9}  {:>9}  exit  command",
        "time", CLUSTERS[0], CLUSTERS[1]
    );
    for one in shown {
        let requests: String = one.requests.iter().map(|n| format!("{n:>9}  ")).collect();
        let code = one.code.map_or("-".into(), |code| code.to_string());
        let seconds = one.took.as_secs_f64();
        println!(
            "  {seconds:>5.1}s  {requests}{code:>4}  ambikiali {}",
            one.command
        );
    }
}
