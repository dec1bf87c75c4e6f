//! Runs a command in a container.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use tokio::io::AsyncReadExt;

use crate::k8s::Scope;
use crate::mesh::retry::persist;

/// The output of a command in a container, and whether it succeeded.
#[derive(Clone, Debug)]
pub struct Output {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command in a container, with a timeout.
pub async fn exec(
    scope: &Scope<'_>,
    namespace: &str,
    pod: &str,
    container: &str,
    command: &[&str],
    patience: Duration,
) -> Result<Output> {
    let what = || {
        format!(
            "{}: {} in Pod {namespace}/{pod}",
            scope.cluster.name, command[0]
        )
    };
    let patience = scope.deadline.at_most(patience);
    tokio::time::timeout(patience, run(scope, namespace, pod, container, command))
        .await
        .map_err(|_| anyhow::anyhow!("did not finish within {} s", patience.as_secs()))
        .and_then(|ended| ended)
        .with_context(what)
}

async fn run(
    scope: &Scope<'_>,
    namespace: &str,
    pod: &str,
    container: &str,
    command: &[&str],
) -> Result<Output> {
    let api = Api::<Pod>::namespaced(scope.cluster.client.clone(), namespace);
    let params = AttachParams::default()
        .container(container)
        .stdout(true)
        .stderr(true);
    let start = || api.exec(pod, command.iter().copied(), &params);
    let mut process = persist(scope.deadline, start)
        .await
        .map_err(|cause| anyhow::anyhow!(cause.text()))?;
    let status = process.take_status();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    let out = process.stdout().context("no stdout")?;
    let err = process.stderr().context("no stderr")?;
    // Limit the output: a hostile pod must not fill the memory.
    let (mut out, mut err) = (out.take(1 << 20), err.take(1 << 20));
    tokio::try_join!(
        out.read_to_string(&mut stdout),
        err.read_to_string(&mut stderr)
    )?;
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    let success = status.and_then(|s| s.status).as_deref() == Some("Success");
    Ok(Output {
        success,
        stdout,
        stderr,
    })
}
