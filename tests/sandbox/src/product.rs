//! Runs the real ambikiali on a sandbox, and returns how long it took and how many requests each cluster got.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ambikiali_sandbox::Sandbox;
use ambikiali_sandbox::audit::Mark;
use anyhow::{Context, Result};
use tokio::process::Command;

pub const CLUSTERS: [&str; 2] = ["cluster1", "cluster2"];

pub struct Shown {
    pub command: String,
    pub took: Duration,
    /// The number of requests in the audit log of each cluster.
    pub requests: Vec<usize>,
    pub code: Option<i32>,
}

pub async fn show(
    sandbox: &Sandbox,
    program: &Path,
    command: &str,
    (stdout, stderr): (Stdio, Stdio),
) -> Result<Shown> {
    let marks = sandbox.clusters().iter().map(Mark::now);
    let marks: Vec<Mark> = marks.collect::<Result<_>>()?;
    let begin = Instant::now();
    let mut child = Command::new(program);
    child
        .args(command.split(' '))
        .env("KUBECONFIG", sandbox.kubeconfig())
        .stdout(stdout)
        .stderr(stderr);
    // Where files of the command go.
    child.current_dir(sandbox.folder());
    // Keeps the run away from what the user's own ambikiali remembers of its last install.
    child.env("XDG_STATE_HOME", sandbox.folder());
    let status = child.kill_on_drop(true).status().await;
    let status = status.with_context(|| format!("cannot start {}", program.display()))?;
    let took = begin.elapsed();
    let count = |mark: &Mark| Ok(mark.requests()?.by_agent("ambikiali").len());
    let requests = marks.iter().map(count).collect::<Result<_>>()?;
    Ok(Shown {
        command: command.into(),
        took,
        requests,
        code: status.code(),
    })
}
