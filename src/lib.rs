//! Takes two or more Istio ambient clusters to one verified, removable multi-cluster Kiali: parses the
//! command line, connects, runs one command and says how it ended.

mod age;
mod bundle;
mod check;
mod cleanup;
mod cli;
mod code;
mod commands;
mod dashboard;
mod deadline;
mod doctor;
mod estimate;
mod exposure;
mod files;
mod folder;
#[cfg(test)]
mod fuzz;
mod guide;
mod history;
mod images;
mod install;
mod interrupt;
mod k8s;
mod last_install;
mod limit;
mod login;
mod manifests;
mod mesh;
mod metrics;
mod mutual_tls;
mod options;
mod out;
mod own_prometheus;
mod panic;
mod plan;
mod planned;
mod policies;
mod problem;
mod progress;
mod prometheus;
mod render;
mod report;
mod result;
mod rotate;
mod run;
mod session;
mod settings;
mod shell;
mod status;
mod steps;
mod store;
mod ui;
mod verify;
mod version;
mod visible;
mod yaml;

use std::process::ExitCode;

use anyhow::Result;

use self::cli::{Cli, Global, LogFormat, Output};
use self::interrupt::Work;
use self::out::{Form, Log, Manner};
use self::problem::Exit;
use self::result::Ended;

/// All that the program does, from the arguments of the process to its exit code.
pub fn main() -> ExitCode {
    panic::tell();
    let code = std::panic::catch_unwind(run).unwrap_or(Exit::Unexpected as u8);
    ExitCode::from(panic::ended(out::ended(code)))
}

fn run() -> u8 {
    // kube and every TLS connection need exactly one provider, before the first client.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::complete();
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    out::behave(manner(&cli.global));
    if cli.global.verbose {
        mesh::set_request_logger(ui::request);
    }
    let kind = cli.command.kind();
    let ended = ended(cli).unwrap_or_else(|error| Ended::failed(&[error]));
    ui::conclude(&ended, kind);
    ended.code()
}

fn manner(global: &Global) -> Manner {
    Manner {
        form: match global.output {
            Output::Text => Form::Text,
            Output::Json => Form::Json,
            Output::Yaml => Form::Yaml,
            Output::Jsonl => Form::Jsonl,
            Output::Markdown => Form::Markdown,
        },
        log: match global.log_format {
            LogFormat::Text => Log::Text,
            LogFormat::Json => Log::Json,
        },
        quiet: global.quiet,
        ascii: global.ascii,
    }
}

fn ended(cli: Cli) -> Result<Ended> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    limit::begin(cli.global.timeout);
    let work = Work::new(cli.command.writes(), cli.command.is_undone_by_cleanup());
    let ended = runtime.block_on(work.until_interrupted(commands::run(cli, &work)));
    // Requests that still hang must not hold the process.
    runtime.shutdown_background();
    ended
}
