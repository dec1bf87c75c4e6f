//! Calls the Go toolchain to check its version, to build a program and to find the folder of a module. On a new
//! machine, Go is often missing or too old, so this is checked before the first build and the error has a fix.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

use super::READY;
use super::modules::{MODULES, Module, OWN};

const ERROR_LINES: usize = 20;

type Version = (u32, u32, u32);

/// Fails unless the installed Go is new enough for these modules.
pub(super) fn check<'a>(modules: impl Iterator<Item = &'a Module>) -> Result<()> {
    let mut needed = (0, 0, 0);
    for module in modules {
        let go_mod = module.read("go.mod")?;
        let line = go_mod.lines().find_map(|line| line.strip_prefix("go "));
        needed = needed.max(line.and_then(version).context("no go line in go.mod")?);
    }
    let found = match Command::new("go")
        .arg("version")
        .env("GOTOOLCHAIN", "local")
        .output()
    {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_string(),
        Err(err) if err.kind() == ErrorKind::NotFound => "no `go` in PATH".to_string(),
        Err(err) => return Err(err).context("cannot start go"),
    };
    let (major, minor, patch) = needed;
    let names: Vec<_> = MODULES.iter().flat_map(Module::names).collect();
    ensure!(
        installed(&found).is_some_and(|installed| installed >= needed),
        "the sandbox's programs need Go {major}.{minor}.{patch} or newer, found: {found}; install \
         it, or set {READY} to a folder that has {}",
        names.join(", ")
    );
    Ok(())
}

/// Parses the output of `go version`.
fn installed(answer: &str) -> Option<Version> {
    answer
        .split_whitespace()
        .find_map(|word| version(word.strip_prefix("go")?))
}

/// Parses a version. Release candidates and development versions such as `1.27rc1` and `1.27-abcdef` count as the
/// release.
fn version(text: &str) -> Option<Version> {
    let mut numbers = text.trim().split('.').map(|part| {
        let digits = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        part[..digits].parse().ok()
    });
    Some((
        numbers.next()??,
        numbers.next()??,
        numbers.next().flatten().unwrap_or(0),
    ))
}

fn go(module: &Module) -> Command {
    let mut go = Command::new("go");
    // Go must not download another toolchain or use a surrounding workspace.
    go.current_dir(module.folder())
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off");
    go.env("CGO_ENABLED", "0");
    go
}

/// Builds a main package into the folder `bin`.
pub(super) fn build(module: &Module, name: &str, package: &str, bin: &Path) -> Result<PathBuf> {
    fs::create_dir_all(bin).with_context(|| format!("cannot create {}", bin.display()))?;
    remove_leftovers(bin)?;
    // Build under a name of its own and rename it. A killed build leaves no incomplete program, and its compiler, which
    // may outlive it, does not write into the file of the next build.
    let new = bin.join(format!("{name}.{}.new", std::process::id()));
    let mut go = go(module);
    // A build must not change go.mod and go.sum.
    go.args([
        "build",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-tags",
        module.tags,
    ]);
    go.args(["-ldflags", &module.linker_flags(&module.version()?), "-o"])
        .arg(&new);
    let package = match package {
        OWN => OWN.to_string(),
        of_upstream => format!("{}{of_upstream}", module.upstream),
    };
    let output = go.arg(package).output()?;
    if !output.status.success() {
        bail!("building {name} failed:\n{}", last_lines(&output));
    }
    let path = bin.join(name);
    fs::rename(&new, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn remove_leftovers(bin: &Path) -> Result<()> {
    for entry in fs::read_dir(bin)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "new") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Returns the folder of the module in Go's module cache.
pub(super) fn fetch(module: &Module) -> Result<PathBuf> {
    let (_, inside) = module.files.context("a module without files")?;
    let output = go(module)
        .args(["mod", "download", "-json", module.upstream])
        .output()
        .context("cannot start go")?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let path = answer["Dir"]
        .as_str()
        .map(|dir| Path::new(dir).join(inside));
    path.filter(|path| path.is_dir()).with_context(|| {
        let reason = answer["Error"]
            .as_str()
            .map_or_else(|| last_lines(&output), str::to_string);
        format!("fetching {} failed: {reason}", module.upstream)
    })
}

pub(super) fn last_lines(output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = stderr
        .lines()
        .filter(|l| !l.starts_with("go: downloading"))
        .collect();
    lines[lines.len().saturating_sub(ERROR_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_go_is_read() {
        assert_eq!(
            installed("go version go1.26.8 linux/amd64"),
            Some((1, 26, 8))
        );
        assert_eq!(
            installed("go version go1.27rc1 linux/amd64"),
            Some((1, 27, 0))
        );
        assert_eq!(
            installed("go version devel go1.27-1a2b3c linux/amd64"),
            Some((1, 27, 0))
        );
        assert!(installed("go version go1.9.7 linux/amd64") < version("1.26.0"));
        assert_eq!(installed("gopher: command not found"), None);
        assert_eq!(installed(""), None);
    }
}
