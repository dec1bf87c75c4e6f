//! One binary from two or more Istio ambient clusters to one verified, removable multi-cluster
//! Kiali: parse, connect, run one command, say how it ended.

mod check;
mod cleanup;
mod cli;
mod code;
mod commands;
mod dashboard;
mod guide;
mod install;
mod interrupt;
mod k8s;
mod last_install;
mod manifests;
mod mesh;
mod problem;
mod progress;
mod status;
mod steps;
mod ui;
mod verify;
mod version;

use std::process::ExitCode;

use self::interrupt::Work;
use self::problem::Exit;

fn main() -> ExitCode {
    // kube and every TLS connection need exactly one provider, before the first client.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::complete();
    let cli = cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            ui::error(&error.into());
            return ExitCode::from(Exit::Unexpected as u8);
        }
    };
    let work = Work::new(cli.command.writes());
    let ended = runtime.block_on(work.until_interrupted(commands::run(cli, &work)));
    // Requests that still hang must not hold the process.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => {
            ui::error(&error);
            ExitCode::from(problem::find(&error).map_or(Exit::Unexpected, |p| p.exit) as u8)
        }
    }
}
