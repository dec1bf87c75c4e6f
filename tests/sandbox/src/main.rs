//! The `sandbox` program.

use std::path::PathBuf;

use ambikiali_sandbox::standin::pod_commands;
use anyhow::Result;
use clap::{Parser, Subcommand};

mod kubectl;

/// Real control planes on a bare machine.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Ends the run of an owner that is gone; not for people.
    #[command(hide = true)]
    Reap { folder: PathBuf },
}

#[tokio::main]
async fn main() -> Result<()> {
    let name = std::env::args().next().unwrap_or_default();
    match name.rsplit('/').next() {
        Some("kubectl") => return kubectl::main().await,
        Some("curl" | "wget") => std::process::exit(pod_commands::main().await),
        _ => {}
    }
    match Cli::parse().command {
        Command::Reap { folder } => {
            // Only the end counts; nothing is ever written.
            std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
            ambikiali_sandbox::run::reap(&folder)
        }
    }
}
