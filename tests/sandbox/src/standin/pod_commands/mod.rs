//! The commands that tools run inside pods: kwok's exec runs a command of this machine, and the one
//! it finds is a link to the `sandbox` binary, which plays the pod's own by the name of the link.
//!
//! What it cannot show: options that no tool here uses (refused), a shell inside the container, and
//! the exit code: kwok reports a failed command as an internal error whose message has the code.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

pub mod control;
mod curl;
mod fetch;
mod wget;

/// Where the sandbox is asked what the cluster's DNS would know.
const CONTROL: &str = "SANDBOX_CONTROL";
/// The commands that the container's image has.
const COMMANDS: &str = "SANDBOX_COMMANDS";
/// The pod's address, and the ports that it serves on localhost.
const IP: &str = "SANDBOX_POD_IP";
const PORTS: &str = "SANDBOX_POD_PORTS";
const NAMES: [&str; 2] = ["curl", "wget"];

/// Links the commands into a folder that must come first in kwok's own PATH: an exec's PATH decides
/// what the command finds, not which command is found.
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

/// The environment of one container's commands, for kwok's Exec objects.
pub fn envs(
    control: SocketAddr,
    commands: &str,
    own: Option<(Ipv4Addr, &[String])>,
    pod: &str,
) -> Value {
    let mut envs = vec![
        json!({ "name": CONTROL, "value": control.to_string() }),
        json!({ "name": COMMANDS, "value": commands }),
        json!({ "name": "HOSTNAME", "value": pod }),
    ];
    if let Some((ip, ports)) = own {
        envs.push(json!({ "name": IP, "value": ip.to_string() }));
        envs.push(json!({ "name": PORTS, "value": ports.join(",") }));
    }
    Value::Array(envs)
}

/// Plays the command that this process was called as; None when it is the sandbox itself.
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
    // Two are a panic in rustls, none is one in reqwest; this process never gets to the sandbox's own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let args: Vec<String> = args.collect();
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
