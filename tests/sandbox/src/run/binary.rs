//! Finds the build output and the `sandbox` program in it. A test binary cannot be its own reaper, because cargo gives
//! it a main function that only runs tests.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

/// Returns the target folder that contains the running program.
pub fn target() -> Result<PathBuf> {
    let exe = env::current_exe().context("cannot tell where this program is")?;
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").exists();
    let target = exe.ancestors().skip(1).find(marked);
    // Cargo writes the tag only into a folder that it created itself.
    let profile = profile()?;
    let target = target.or_else(|| profile.parent());
    let target = target.with_context(|| format!("{} is in no target folder", exe.display()))?;
    Ok(target.to_path_buf())
}

/// Returns this project's `sandbox`: the running program, or the one of the same build.
pub fn sandbox_binary() -> Result<PathBuf> {
    let exe = env::current_exe().context("cannot tell where this program is")?;
    if exe.file_name().is_some_and(|name| name == "sandbox") {
        return Ok(exe);
    }
    let binary = profile()?.join("sandbox");
    // For the tests of another package, cargo does not build this program. It may be outdated.
    match built_after_sources(&binary) {
        true => Ok(binary),
        false => build("sandbox"),
    }
}

fn built_after_sources(binary: &Path) -> bool {
    let built = fs::metadata(binary).and_then(|meta| meta.modified());
    let newest = newest(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    built.is_ok_and(|built| newest.is_ok_and(|newest| built >= newest))
}

fn newest(folder: &Path) -> io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let time = match entry.file_type()?.is_dir() {
            true => self::newest(&entry.path())?,
            false => entry.metadata()?.modified()?,
        };
        newest = newest.max(time);
    }
    Ok(newest)
}

/// Builds a program of this workspace with the profile of the running one. Returns at once if it is up to date.
pub fn build(program: &str) -> Result<PathBuf> {
    let profile = profile()?;
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // From the root and without `--package`, the features are the same and nothing is built twice.
    build.args(["build", "--quiet", "--bin", program]);
    build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    if profile.file_name().is_some_and(|name| name == "release") {
        build.arg("--release");
    }
    // A test or `cargo run` sets variables of its own package. With those, ring's build script would run again and half
    // of the dependencies would be rebuilt each time.
    let foreign = env::vars_os().map(|(name, _)| name);
    for name in foreign.filter(|name| name.to_string_lossy().starts_with("CARGO_")) {
        if name != "CARGO_HOME" {
            build.env_remove(name);
        }
    }
    build.env("CARGO_TARGET_DIR", target()?);
    let status = build.status().context("cannot start cargo")?;
    ensure!(
        status.success(),
        "cargo could not build {program}: {status}"
    );
    Ok(profile.join(program))
}

/// Returns `<target>/debug` or `<target>/release`.
fn profile() -> Result<PathBuf> {
    let exe = env::current_exe().context("cannot tell where this program is")?;
    let folder = exe.parent().context("a program without a folder")?;
    let nested = folder
        .file_name()
        .is_some_and(|name| name == "deps" || name == "examples");
    let folder = match nested {
        true => folder.parent().context("no profile folder")?,
        false => folder,
    };
    Ok(folder.to_path_buf())
}
