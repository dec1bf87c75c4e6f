//! The `sandbox` program: the same clusters as the tests use, for a person.

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

/// Real control planes on a bare machine: two clusters in a mesh, in the background or around a
/// command.
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
    /// Start two clusters and show a whole life of ambikiali in them
    Demo {
        /// Let the servers take as long as the real ones were measured to
        #[arg(long)]
        delays: bool,
    },
    /// Start two clusters and time first installs in them
    Bench {
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Let the servers take as long as the real ones were measured to
        #[arg(long)]
        delays: bool,
        /// Seconds until a load balancer has an address
        #[arg(long, value_name = "SECONDS")]
        load_balancer: Option<u64>,
        /// So many clusters against two of them, in turn, in the same run
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(3..=8))]
        against: Option<u8>,
    },
    /// Start clusters and keep them until a signal comes
    #[command(hide = true)]
    Serve(Clusters),
    /// End a run whose owner is gone
    #[command(hide = true)]
    Reap { folder: PathBuf },
}

#[derive(Args)]
struct Clusters {
    /// Names: contexts of the kubeconfig and cluster ids of the mesh
    #[arg(long = "cluster", value_name = "NAME", default_values = ["cluster1", "cluster2"])]
    names: Vec<String>,
    /// Let the servers take as long as the real ones were measured to
    #[arg(long)]
    delays: bool,
}

fn main() -> ExitCode {
    // kwok's exec calls a link to this program in a pod's name.
    if let Some(code) = pod_commands::main() {
        return code;
    }
    let name = std::env::args().next().unwrap_or_default();
    let result = match name.rsplit('/').next() {
        // kwokctl calls another link.
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
            runs,
            delays,
            load_balancer,
            against,
        } => bench::run(runs, delays, load_balancer, against),
        Command::Serve(clusters) => background::serve(&clusters.names, clusters.delays).map(done),
        Command::Reap { folder } => {
            // Only the end counts; nothing is ever written.
            std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
            ambikiali_sandbox::run::reap(&folder).map(done)
        }
    }
}
