//! `sandbox run -- CMD…`: starts clusters, runs a command and stops the clusters.

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
    // Marks the command as part of the run, so that it ends with the clusters even if this process is killed.
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
    // Killed by a signal: reported like a shell does.
    let code = ended?.code().unwrap_or(130);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
