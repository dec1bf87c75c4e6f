//! `sandbox demo`: runs ambikiali from install to cleanup on two clusters and shows its output.

use std::process::ExitCode;
use std::process::Stdio;

use ambikiali_sandbox::run::build;
use anyhow::Result;

use crate::product::{CLUSTERS, Shown, show};
use crate::signals::Signals;

/// The commands in order. The addresses here are on loopback, which install rejects without the flag.
const COMMANDS: [&str; 4] = [
    "install --ctx1 cluster1 --ctx2 cluster2 --allow-loopback",
    "verify --ctx1 cluster1 --ctx2 cluster2",
    "status --ctx1 cluster1 --ctx2 cluster2",
    "cleanup --ctx1 cluster1 --ctx2 cluster2",
];

#[tokio::main]
pub async fn run(delays: bool) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    eprintln!("building ambikiali");
    let program = build("ambikiali")?;
    let names = CLUSTERS.map(String::from);
    let sandbox = signals.start(&names, delays).await?;
    let mut shown = Vec::new();
    for command in COMMANDS {
        println!("\n$ ambikiali {command}");
        let output = (Stdio::inherit(), Stdio::inherit());
        match signals.or(show(&sandbox, &program, command, output)).await {
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
