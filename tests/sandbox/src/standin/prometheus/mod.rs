//! The real Prometheus, listening on its pod's address, with the configuration and the rights of the pod.
//!
//! What it cannot show: another version of Prometheus than the sandbox's, the cluster's DNS for anything but static
//! targets, a pod's localhost (such targets are moved to the pod's address), and, without delays, the time between two
//! scrapes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::container::Container;
use args::Args;
use config::Pod;

mod args;
mod config;
mod names;

/// Runs until it exits with a code or is dropped.
pub async fn run(container: Container) -> i32 {
    match start(&container).await {
        Ok(code) => code,
        Err(error) => {
            container.log(format!("sandbox: {error:#}"));
            127
        }
    }
}

async fn start(container: &Container) -> Result<i32> {
    let place = |path: &str| container.path(path);
    let given = container.spec.args.clone();
    let args = Args::read(&given.unwrap_or_else(args::of_image));
    let listen = SocketAddr::new(container.ip.into(), args.port());
    let (names, _proxy) = names::serve(container).await?;
    let source = args.config(place, &container.dir)?;
    let copy = container.dir.join("prometheus.yml");
    let pod = Pod {
        api_server: container.cluster.server().to_owned(),
        listen,
        namespace: container.pod.metadata.namespace.clone().unwrap_or_default(),
        names,
        config: PathBuf::from(&args.config_file),
        place: &place,
        scrapes_as_it_says: container.world.delays().scrapes,
    };
    let mut current = write_config(&source, &copy, &pod)?;
    let mut child = spawn(container, &args, &copy, listen)?;
    let mut logs = logs(container, &mut child, (&copy, &args.config_file));
    loop {
        tokio::select! {
            status = child.wait() => {
                // Waits for the last lines of its output to reach the log.
                while logs.join_next().await.is_some() {}
                return Ok(status?.code().unwrap_or(137));
            }
            () = sleep(Duration::from_secs(1)) => {
                if std::fs::read(&source).ok() != current {
                    current = write_config(&source, &copy, &pod)?;
                    reload(container, listen).await;
                }
            }
        }
    }
}

fn spawn(container: &Container, args: &Args, config: &Path, listen: SocketAddr) -> Result<Child> {
    let security = container.spec.security_context.as_ref();
    let read_only = security.and_then(|s| s.read_only_root_filesystem) == Some(true);
    let storage = match container.path(&args.storage) {
        Some(path) => path,
        // No folder can be created there, so Prometheus fails as on a read-only file system.
        None if read_only => PathBuf::from("/proc/read-only"),
        None => container.dir.join("data"),
    };
    let program = &container.world.prometheus;
    Command::from(container.cluster.command(program))
        .args(args.rendered(|path| container.path(path)))
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", storage.display()))
        .arg(format!("--web.listen-address={listen}"))
        .current_dir(&container.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {}", program.display()))
}

/// Returns the content of the file. Returns None if it does not exist, so that Prometheus reports the error.
fn write_config(source: &Path, copy: &Path, pod: &Pod<'_>) -> Result<Option<Vec<u8>>> {
    let Ok(text) = std::fs::read(source) else {
        let _ = std::fs::remove_file(copy);
        return Ok(None);
    };
    let adapted = match std::str::from_utf8(&text)
        .ok()
        .and_then(|text| config::adapt(text, pod))
    {
        Some(adapted) => adapted.into_bytes(),
        None => text.clone(),
    };
    let fresh = copy.with_extension("new");
    std::fs::write(&fresh, adapted)?;
    std::fs::rename(fresh, copy)?;
    Ok(Some(text))
}

/// Reloads the configuration, but only if the pod has a container that would do so.
async fn reload(container: &Container, listen: SocketAddr) {
    let spec = container.pod.spec.as_ref();
    let mut images = spec
        .iter()
        .flat_map(|s| &s.containers)
        .filter_map(|c| c.image.as_deref());
    if images.any(|image| image.contains("config-reload") || image.contains("configmap-reload")) {
        let _ = reqwest::Client::new()
            .post(format!("http://{listen}/-/reload"))
            .send()
            .await;
    }
}

/// Copies the output to the log, with the container's path of the configuration.
fn logs(container: &Container, child: &mut Child, (copy, named): (&Path, &str)) -> JoinSet<()> {
    let (copy, named) = (copy.display().to_string(), named.to_owned());
    let mut tasks = JoinSet::new();
    if let Some(stream) = child.stdout.take() {
        tasks.spawn(copy_lines(
            container.clone(),
            stream,
            copy.clone(),
            named.clone(),
        ));
    }
    if let Some(stream) = child.stderr.take() {
        tasks.spawn(copy_lines(container.clone(), stream, copy, named));
    }
    tasks
}

async fn copy_lines(
    container: Container,
    stream: impl AsyncRead + Unpin,
    copy: String,
    named: String,
) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        container.log(line.replace(&copy, &named));
    }
}
