//! `sandbox demo`: a whole life of ambikiali in two clusters, with its own output.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ambikiali_sandbox::Sandbox;
use ambikiali_sandbox::audit::Mark;
use ambikiali_sandbox::run::build;
use anyhow::{Context, Result};
use tokio::process::Command;

use crate::signals::Signals;

const CLUSTERS: [&str; 2] = ["cluster1", "cluster2"];

/// In this order. The addresses here are loopback ones, which install refuses unless told.
const COMMANDS: [&str; 4] = [
    "install --ctx1 cluster1 --ctx2 cluster2 --allow-loopback",
    "verify --ctx1 cluster1 --ctx2 cluster2",
    "status --ctx1 cluster1 --ctx2 cluster2",
    "cleanup --ctx1 cluster1 --ctx2 cluster2",
];

struct Shown {
    command: &'static str,
    took: Duration,
    requests: Vec<usize>,
    code: Option<i32>,
}

#[tokio::main]
pub async fn run(delays: bool) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    eprintln!("building ambikiali");
    let program = build("ambikiali")?;
    let names = CLUSTERS.map(String::from);
    let sandbox = signals.start(&names, delays).await?;
    let mut shown = Vec::new();
    for command in COMMANDS {
        match signals.or(show(&sandbox, &program, command)).await {
            Ok(one) => shown.push(one),
            Err(err) => {
                sandbox.stop().await?;
                return Err(err);
            }
        }
    }
    sandbox.stop().await?;
    summarize(&shown);
    let failed = shown.iter().any(|one| one.code != Some(0));
    Ok(ExitCode::from(u8::from(failed)))
}

async fn show(sandbox: &Sandbox, program: &Path, command: &'static str) -> Result<Shown> {
    println!("\n$ ambikiali {command}");
    let marks = sandbox.clusters().iter().map(Mark::now);
    let marks: Vec<Mark> = marks.collect::<Result<_>>()?;
    let begin = Instant::now();
    let mut child = Command::new(program);
    child
        .args(command.split(' '))
        .env("KUBECONFIG", sandbox.kubeconfig());
    // What it remembers of its last install is a real user's.
    child.env("XDG_STATE_HOME", sandbox.folder());
    let status = child.kill_on_drop(true).status().await;
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    let took = begin.elapsed();
    let count = |mark: &Mark| Ok(mark.requests()?.by_agent("ambikiali").len());
    let requests = marks.iter().map(count).collect::<Result<_>>()?;
    Ok(Shown {
        command,
        took,
        requests,
        code: status.code(),
    })
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
