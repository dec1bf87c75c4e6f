//! The commands that tools run inside pods. kwok's exec runs a command of this machine. It finds a link to the
//! `sandbox` binary, which acts as the pod's command with the name of the link.
//!
//! What it cannot show: options that no tool uses here (rejected), a shell inside the container, and the exit code.
//! kwok reports a failed command as an internal error whose message contains the code.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::kubelet::mounts::Mount;
use super::sample::Named;

pub mod control;
mod curl;
mod fetch;
mod promtool;
mod sha256sum;
mod wget;

/// The address of the sandbox, which replaces the cluster's DNS.
const CONTROL: &str = "SANDBOX_CONTROL";
/// The commands that the container image contains.
const COMMANDS: &str = "SANDBOX_COMMANDS";
/// The namespace of the pod. Its name is in HOSTNAME.
const NAMESPACE: &str = "SANDBOX_POD_NAMESPACE";
/// The pod's address, and the ports that it serves on localhost.
const IP: &str = "SANDBOX_POD_IP";
const PORTS: &str = "SANDBOX_POD_PORTS";
/// The volumes of the container, as `PATH=FOLDER` in lines.
const MOUNTS: &str = "SANDBOX_POD_MOUNTS";
/// The real promtool.
const PROMTOOL: &str = "SANDBOX_PROMTOOL";
const NAMES: [&str; 4] = ["curl", "promtool", "sha256sum", "wget"];

/// Creates links to the commands in a folder that must be the first in kwok's own PATH. The PATH of an exec only
/// affects what the command finds, not which command is found.
pub fn link(folder: &Path, sandbox: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for name in NAMES {
        let link = folder.join(name);
        match std::os::unix::fs::symlink(sandbox, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the environment of the commands in a container, for kwok's Exec objects.
pub fn envs(
    control: SocketAddr,
    commands: &str,
    own: Option<(Ipv4Addr, &[String])>,
    pod: &Named,
    mounts: &[Mount],
    promtool: &Path,
) -> Value {
    let mounts = mounts.iter().map(|mount| {
        let (at, host) = (mount.at.display(), mount.host.display());
        format!("{at}={host}")
    });
    let mut envs = vec![
        json!({ "name": CONTROL, "value": control.to_string() }),
        json!({ "name": COMMANDS, "value": commands }),
        json!({ "name": "HOSTNAME", "value": pod.name }),
        json!({ "name": NAMESPACE, "value": pod.namespace }),
        json!({ "name": PROMTOOL, "value": promtool.display().to_string() }),
        json!({ "name": MOUNTS, "value": mounts.collect::<Vec<_>>().join("\n") }),
    ];
    if let Some((ip, ports)) = own {
        envs.push(json!({ "name": IP, "value": ip.to_string() }));
        envs.push(json!({ "name": PORTS, "value": ports.join(",") }));
    }
    Value::Array(envs)
}

/// Runs the command that this process was called as. Returns None if it is the sandbox itself.
pub fn main() -> Option<ExitCode> {
    let mut args = std::env::args();
    let called = args.next()?;
    let name = Path::new(&called).file_name()?.to_str()?.to_owned();
    if !NAMES.contains(&name.as_str()) {
        return None;
    }
    let known = std::env::var(COMMANDS).unwrap_or_default();
    if !known.split(',').any(|command| command == name) {
        eprintln!("exec: \"{name}\": executable file not found in $PATH");
        return Some(ExitCode::from(127));
    }
    // With two providers rustls panics, and with none reqwest does. This process does not reach the code of the sandbox
    // that installs one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<String> = args.collect();
    match name.as_str() {
        "sha256sum" => return Some(ExitCode::from(sha256sum::run(&args))),
        "promtool" => return Some(ExitCode::from(promtool::run(&args))),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let code = runtime.map(|runtime| {
        runtime.block_on(async {
            match name.as_str() {
                "curl" => curl::run(&args).await,
                _ => wget::run(&args).await,
            }
        })
    });
    Some(ExitCode::from(code.unwrap_or(1)))
}

/// The path of a file in a volume; one that does not exist for any other.
fn on_this_machine(mounts: &str, file: &Path) -> PathBuf {
    let found = mounts.lines().find_map(|mount| {
        let (at, host) = mount.split_once('=')?;
        Some(Path::new(host).join(file.strip_prefix(at).ok()?))
    });
    found.unwrap_or_default()
}
