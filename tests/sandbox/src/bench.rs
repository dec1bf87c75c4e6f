//! `sandbox bench`: first installs, one after another, with their times and requests, and the median.
//! Against the guide: 105.2 s with the measured delays and 7.2 s without, 205 and 190 requests, by
//! hand on the same model of the servers.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use ambikiali_sandbox::Sandbox;
use ambikiali_sandbox::run::build;
use anyhow::{Result, ensure};

use crate::product::{CLUSTERS, Shown, show};
use crate::signals::Signals;

const INSTALL: &str = "install --ctx1 cluster1 --ctx2 cluster2 --allow-loopback";
const CLEANUP: &str = "cleanup --ctx1 cluster1 --ctx2 cluster2";

#[tokio::main]
pub async fn run(runs: usize, delays: bool, load_balancer: Option<u64>) -> Result<ExitCode> {
    ensure!(runs > 0, "no runs");
    let mut signals = Signals::new()?;
    let program = build("ambikiali")?;
    let sandbox = signals.start(&CLUSTERS.map(String::from), delays).await?;
    if let Some(seconds) = load_balancer {
        sandbox
            .world()
            .change_delays(|delays| delays.load_balancer = Duration::from_secs(seconds));
    }
    println!("     time   {}   {}   cleanup", CLUSTERS[0], CLUSTERS[1]);
    let measured = signals.or(installs(&sandbox, &program, runs)).await;
    sandbox.stop().await?;
    let mut times = measured?;
    times.sort();
    println!(
        "  {:>6.2}s  median of {runs} first installs",
        times[times.len() / 2].as_secs_f64()
    );
    Ok(ExitCode::SUCCESS)
}

async fn installs(
    sandbox: &Sandbox,
    program: &std::path::Path,
    runs: usize,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..runs {
        let install = quietly(sandbox, program, INSTALL).await?;
        let cleanup = quietly(sandbox, program, CLEANUP).await?;
        println!(
            "  {:>6.2}s  {:>9}  {:>9}  {:>6.2}s",
            install.took.as_secs_f64(),
            install.requests[0],
            install.requests[1],
            cleanup.took.as_secs_f64()
        );
        times.push(install.took);
    }
    Ok(times)
}

async fn quietly(
    sandbox: &Sandbox,
    program: &std::path::Path,
    command: &'static str,
) -> Result<Shown> {
    let shown = show(sandbox, program, command, (Stdio::null(), Stdio::null())).await?;
    ensure!(
        shown.code == Some(0),
        "ambikiali {command}: exit {:?}",
        shown.code
    );
    Ok(shown)
}
