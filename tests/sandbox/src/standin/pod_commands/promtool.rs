//! `promtool` of the Prometheus image: the real program, with the container's paths mapped to this machine.
//!
//! What it cannot show: names of the cluster's DNS, and paths beyond those in the file of `--http.config.file`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{MOUNTS, PROMTOOL, on_this_machine};

const CONFIG: &str = "--http.config.file=";

pub fn run(args: &[String]) -> u8 {
    let mounts = std::env::var(MOUNTS).unwrap_or_default();
    let copy = std::env::temp_dir().join(format!("promtool-{}.yml", std::process::id()));
    let args = args.iter().map(|arg| match arg.strip_prefix(CONFIG) {
        Some(file) => match mapped(&mounts, Path::new(file), &copy) {
            Ok(()) => format!("{CONFIG}{}", copy.display()),
            Err(_) => arg.clone(),
        },
        None => arg.clone(),
    });
    let program = std::env::var(PROMTOOL).unwrap_or_default();
    let status = Command::new(program).args(args).status();
    let _ = fs::remove_file(&copy);
    let code = status.ok().and_then(|status| status.code());
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Copies the file with the paths of this machine. It has paths of secrets, and no secret.
fn mapped(mounts: &str, file: &Path, copy: &Path) -> std::io::Result<()> {
    let text = fs::read_to_string(on_this_machine(mounts, file))?;
    let pairs = mounts.lines().filter_map(|mount| mount.split_once('='));
    let text = pairs.fold(text, |text, (at, host)| {
        text.replace(&format!(" {at}/"), &format!(" {host}/"))
    });
    fs::write(copy, text)
}
