//! Where the build's output is, and in it the `sandbox` program. A test binary cannot be its own
//! reaper: cargo starts it with a main function that knows only tests.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The target folder that the running program was built into.
pub fn target() -> Result<PathBuf> {
    let exe = env::current_exe().context("cannot tell where this program is")?;
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    let target = exe.ancestors().skip(1).find(marked);
    let target = target.with_context(|| format!("{} is in no target folder", exe.display()))?;
    Ok(target.to_path_buf())
}

/// This project's `sandbox`: the running program, or the one of the same build.
pub fn sandbox_binary() -> Result<PathBuf> {
    let exe = env::current_exe().context("cannot tell where this program is")?;
    if exe.file_name().is_some_and(|name| name == "sandbox") {
        return Ok(exe);
    }
    let folder = exe.parent().context("a program without a folder")?;
    let nested = folder
        .file_name()
        .is_some_and(|name| name == "deps" || name == "examples");
    let folder = match nested {
        true => folder.parent().context("no profile folder")?,
        false => folder,
    };
    let binary = folder.join("sandbox");
    // Cargo builds no programs for the tests of another package, so there it may be an old one.
    if !newer(&binary, &exe) {
        build(folder)?;
    }
    ensure!(binary.exists(), "{} was not built", binary.display());
    Ok(binary)
}

fn newer(binary: &Path, than: &Path) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    time(binary).is_some_and(|t| Some(t) >= time(than))
}

fn build(profile: &Path) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // From the root and without a package: the same features, so nothing is built twice.
    build.args(["build", "--quiet", "--bin", "sandbox"]);
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    build.env("CARGO_TARGET_DIR", target()?);
    if profile.file_name().is_some_and(|name| name == "release") {
        build.arg("--release");
    }
    let status = build.status().context("cannot start cargo")?;
    ensure!(
        status.success(),
        "cargo could not build the sandbox: {status}"
    );
    Ok(())
}
