//! The `sandbox` program: the clusters of the tests for interactive use.

use std::path::PathBuf;
use std::process::ExitCode;

use ambikiali_sandbox::standin::pod_commands;
use anyhow::Result;
use clap::{Args, Parser, Subcommand};

mod background;
mod bench;
mod demo;
mod foreground;
mod kubectl;
mod product;
mod signals;

/// Run real control planes without a container engine: two clusters in a mesh, in the background or for one command.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start clusters in the background and print how to use them
    Up(Clusters),
    /// Stop the clusters in the background
    Down,
    /// Print the line that makes a shell use the clusters in the background
    Env,
    /// Start clusters, run a command with them and stop them
    Run {
        #[command(flatten)]
        clusters: Clusters,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Start two clusters and run ambikiali in them, from install to cleanup
    Demo {
        /// Use the delays measured with real servers
        #[arg(long)]
        delays: bool,
    },
    /// Start two clusters and time first installs in them
    #[command(args_conflicts_with_subcommands = true)]
    Bench {
        #[command(subcommand)]
        of: Option<Bench>,
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Use the delays measured with real servers
        #[arg(long)]
        delays: bool,
        /// Seconds until a load balancer has an address
        #[arg(long, value_name = "SECONDS")]
        load_balancer: Option<u64>,
        /// Compare two clusters with this many, alternating between both in one run
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(3..=8))]
        against: Option<u8>,
    },
    /// Start clusters and keep them until a signal arrives
    #[command(hide = true)]
    Serve(Clusters),
    /// Remove a run whose owner is gone
    #[command(hide = true)]
    Reap { folder: PathBuf },
}

#[derive(Subcommand)]
enum Bench {
    /// Compare what the metric profiles cost
    Metrics(bench::metrics::Asked),
}

#[derive(Args)]
struct Clusters {
    /// Names of the clusters: contexts of the kubeconfig and cluster IDs of the mesh
    #[arg(long = "cluster", value_name = "NAME", default_values = ["cluster1", "cluster2"])]
    names: Vec<String>,
    /// Use the delays measured with real servers
    #[arg(long)]
    delays: bool,
}

fn main() -> ExitCode {
    // kwok's exec runs a link to this program that is named after a pod's command.
    if let Some(code) = pod_commands::main() {
        return code;
    }
    let name = std::env::args().next().unwrap_or_default();
    let result = match name.rsplit('/').next() {
        // kwokctl runs a link with this name.
        Some("kubectl") => kubectl::main().map(|()| ExitCode::SUCCESS),
        _ => run(Cli::parse().command),
    };
    result.unwrap_or_else(|err| {
        eprintln!("sandbox: {err:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Up(clusters) => background::up(&clusters.names, clusters.delays).map(done),
        Command::Down => background::down().map(done),
        Command::Env => background::env().map(done),
        Command::Run { clusters, command } => {
            foreground::run(&clusters.names, clusters.delays, &command)
        }
        Command::Demo { delays } => demo::run(delays),
        Command::Bench {
            of: Some(Bench::Metrics(asked)),
            ..
        } => bench::metrics::run(asked),
        Command::Bench {
            of: None,
            runs,
            delays,
            load_balancer,
            against,
        } => bench::run(runs, delays, load_balancer, against),
        Command::Serve(clusters) => background::serve(&clusters.names, clusters.delays).map(done),
        Command::Reap { folder } => {
            // Waits for the end of stdin. Nothing is ever written to it.
            std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
            ambikiali_sandbox::run::reap(&folder).map(done)
        }
    }
}
