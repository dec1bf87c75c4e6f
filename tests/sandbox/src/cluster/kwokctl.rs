//! Starts a control plane with kwokctl, which also creates its certificates.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Addresses, config};
use crate::delays::Delays;
use crate::run::Run;
use crate::standin::pod_commands;
use crate::tools::Tools;

/// The file that tells the API server whose tokens it accepts.
pub const AUTHENTICATION: &str = "authentication.yaml";

/// Returns when the API server answers and serves kwok's kinds.
pub async fn create(
    run: &Run,
    tools: &Tools,
    dir: &Path,
    name: &str,
    addresses: Addresses,
    delays: Delays,
) -> Result<()> {
    let audit = dir.join("audit-policy.yaml");
    fs::write(&audit, config::AUDIT)?;
    let authentication = dir.join(AUTHENTICATION);
    fs::write(&authentication, config::AUTHENTICATION)?;
    let (audit, authentication) = (audit.display(), authentication.display());
    let (audit, authentication) = (audit.to_string(), authentication.to_string());
    let main = config::kwokctl(tools, addresses, &audit, &authentication);
    let file = dir.join("kwokctl.yaml");
    fs::write(&file, format!("{main}---\n{}", config::stages(delays)))?;

    let mut command = run.command(&tools.kwokctl);
    command.args(["create", "cluster", "--name", name, "--config"]);
    command.arg(&file);
    // Otherwise kwokctl adds a context to the user's own kubeconfig.
    command
        .arg("--kubeconfig")
        .arg(dir.join("kwokctl.kubeconfig"));
    command.env("KWOK_WORKDIR", dir).env_remove("KUBECONFIG");
    command.env("PATH", path(run, dir)?);
    run_to_end(command)
        .await
        .with_context(|| format!("{name} does not start"))
}

/// Returns a PATH that starts with links to the sandbox binary. kwokctl runs `kubectl` to check whether the API server
/// answers, and downloads one if it finds none. kwok inherits this PATH and runs the commands of pods with it.
fn path(run: &Run, dir: &Path) -> Result<OsString> {
    let links = dir.join("commands");
    pod_commands::link(&links, run.sandbox_binary())?;
    symlink(run.sandbox_binary(), links.join("kubectl"))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(links).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(all)?)
}

async fn run_to_end(mut command: Command) -> Result<()> {
    let output = tokio::task::spawn_blocking(move || command.output()).await?;
    let output = output.context("cannot start kwokctl")?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    bail!("kwokctl: {}\n{}", output.status, errors.trim())
}
