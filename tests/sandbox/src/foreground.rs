//! `sandbox run -- CMD…`: clusters for the time of a command.

use std::process::ExitCode;

use ambikiali_sandbox::run::MARK;
use anyhow::{Context, Result};
use tokio::process::Command;

use crate::signals::Signals;

#[tokio::main]
pub async fn run(names: &[String], delays: bool, words: &[String]) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    let sandbox = signals.start(names, delays).await?;
    let (program, arguments) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("KUBECONFIG", sandbox.kubeconfig());
    // It goes with the clusters, also when this process is killed.
    command.env(MARK, sandbox.folder());
    let ended = async {
        let mut child = command.kill_on_drop(true).spawn();
        let child = child
            .as_mut()
            .map_err(|err| anyhow::anyhow!("cannot start {program}: {err}"))?;
        tokio::select! {
            status = child.wait() => Ok(status?),
            () = signals.terminated() => anyhow::bail!("stopped by a signal"),
        }
    };
    let ended = ended.await;
    sandbox.stop().await?;
    // Killed by a signal: as a shell would say it.
    let code = ended?.code().unwrap_or(130);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
