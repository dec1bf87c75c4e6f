//! `sandbox bench`: runs first installs one after another, and prints the time and requests of each, and the median.
//! Compares with the manual guide, which took 105.2 s and 205 requests with the measured delays, and 7.2 s and 190
//! requests without, on the same model of the servers. Or compares two clusters with more clusters, alternating between
//! both, so that both run on the same machine at the same time of day.

use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use ambikiali_sandbox::Sandbox;
use ambikiali_sandbox::run::build;
use anyhow::{Result, ensure};

use crate::product::{CLUSTERS, Shown, show};
use crate::signals::Signals;

pub mod metrics;

#[tokio::main]
pub async fn run(
    runs: usize,
    delays: bool,
    load_balancer: Option<u64>,
    against: Option<u8>,
) -> Result<ExitCode> {
    ensure!(runs > 0, "no runs");
    let mut signals = Signals::new()?;
    let program = build("ambikiali")?;
    let all = usize::from(against.unwrap_or(2));
    let names = (1..=all).map(|number| format!("cluster{number}"));
    let names = names.collect::<Vec<_>>();
    let sandbox = signals.start(&names, delays).await?;
    if let Some(seconds) = load_balancer {
        sandbox
            .world()
            .change_delays(|delays| delays.load_balancer = Duration::from_secs(seconds));
    }
    println!(
        "clusters      time   {}   {}   cleanup",
        CLUSTERS[0], CLUSTERS[1]
    );
    let sizes = if all > 2 { vec![2, all] } else { vec![2] };
    let measured = signals
        .or(installs(&sandbox, &program, runs, &names, &sizes))
        .await;
    sandbox.stop().await?;
    let medians = measured?.into_iter().map(median).collect::<Vec<_>>();
    for (size, median) in sizes.iter().zip(&medians) {
        let seconds = median.as_secs_f64();
        println!("{size:>8}  {seconds:>7.2}s  median of {runs} first installs");
    }
    if let [two, more] = medians.as_slice() {
        let ratio = more.as_secs_f64() / two.as_secs_f64();
        println!("{all} clusters take {ratio:.2} times as long as 2");
    }
    Ok(ExitCode::SUCCESS)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Returns the times for each number of clusters.
async fn installs(
    sandbox: &Sandbox,
    program: &Path,
    runs: usize,
    names: &[String],
    sizes: &[usize],
) -> Result<Vec<Vec<Duration>>> {
    let mut times = vec![Vec::new(); sizes.len()];
    for _ in 0..runs {
        for (size, times) in sizes.iter().zip(&mut times) {
            let remotes = names[1..*size].iter();
            let remotes = remotes.map(|name| format!(" --ctx2 {name}"));
            let clusters = format!("--ctx1 {}{}", names[0], remotes.collect::<String>());
            let install = format!("install {clusters} --allow-loopback");
            let install = quietly(sandbox, program, &install).await?;
            let cleanup = quietly(sandbox, program, &format!("cleanup {clusters}")).await?;
            println!(
                "{size:>8}  {:>7.2}s  {:>9}  {:>9}  {:>6.2}s",
                install.took.as_secs_f64(),
                install.requests[0],
                install.requests[1],
                cleanup.took.as_secs_f64()
            );
            times.push(install.took);
        }
    }
    Ok(times)
}

async fn quietly(sandbox: &Sandbox, program: &Path, command: &str) -> Result<Shown> {
    let shown = show(sandbox, program, command, (Stdio::null(), Stdio::null())).await?;
    ensure!(
        shown.code == Some(0),
        "ambikiali {command}: exit {:?}",
        shown.code
    );
    Ok(shown)
}
