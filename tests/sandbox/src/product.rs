//! The `ambikiali` program of this checkout.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Builds it in the profile that this program has; at once when nothing changed.
pub fn build() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let profile = exe.parent().context("a program without a folder")?;
    let target = profile.parent().context("a profile without a target")?;
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Without a package: the same features as the sandbox itself, so nothing is built twice.
    build.args(["build", "--quiet", "--bin", "ambikiali"]);
    build.current_dir(root).env("CARGO_TARGET_DIR", target);
    if profile.file_name().is_some_and(|name| name == "release") {
        build.arg("--release");
    }
    let status = build.status().context("cannot start cargo")?;
    ensure!(
        status.success(),
        "cargo could not build ambikiali: {status}"
    );
    Ok(profile.join("ambikiali"))
}
