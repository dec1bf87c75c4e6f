//! A run of the sandbox. A folder holds all its files, and a variable in the environment marks all its processes. A
//! reaper removes both when the owner is gone, for whatever reason. A control plane that outlives its test would take
//! memory and addresses from all later runs.

use std::fs::{self, File, TryLockError};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

pub use binary::{build, sandbox_binary, target};
pub use blocks::Block;
pub use reaper::reap;

mod binary;
mod blocks;
mod processes;
mod reaper;

/// The variable with the run's folder. It is set for every process of a run and inherited by their children.
pub const MARK: &str = "AMBIKIALI_SANDBOX_RUN";

/// The environment of all started programs. Apart from ours, all are Go programs. CPU is scarcer here than memory, and
/// a garbage collection each time the heap doubles takes a sixth of their time. With a memory limit of 1 GiB, an API
/// server that has run for long does not need more than a new one.
pub const GO: [(&str, &str); 2] = [("GOGC", "400"), ("GOMEMLIMIT", "1GiB")];

/// The run that this process owns.
pub struct Run {
    folder: PathBuf,
    sandbox_binary: PathBuf,
    reaper: Option<Child>,
    /// Held while this process lives. The kernel releases it in any case.
    _lock: File,
}

impl Run {
    /// Removes the runs of dead owners, then creates a folder under `<target>/sandbox/run`.
    pub fn start() -> Result<Run> {
        let runs = target()?.join("sandbox/run");
        fs::create_dir_all(&runs).with_context(|| format!("cannot create {}", runs.display()))?;
        reap_dead(&runs)?;
        let sandbox_binary = sandbox_binary()?;
        let (folder, lock) = create(&runs)?;
        let reaper = Command::new(&sandbox_binary)
            .arg("reap")
            .arg(&folder)
            .env_remove(MARK)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Its own process group, so that a Ctrl-C reaches only the owner.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", sandbox_binary.display()))?;
        Ok(Run {
            folder,
            sandbox_binary,
            reaper: Some(reaper),
            _lock: lock,
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn sandbox_binary(&self) -> &Path {
        &self.sandbox_binary
    }

    /// Returns a command for a program that belongs to this run and never outlives it.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env(MARK, &self.folder).stdin(Stdio::null());
        command.envs(GO);
        // Its own process group, so that the owner stops first on a Ctrl-C and its servers after it.
        command.process_group(0);
        command
    }

    /// Ends the run. Nothing is left of it on return.
    pub fn end(mut self) -> Result<()> {
        self.close()
    }

    fn close(&mut self) -> Result<()> {
        let Some(mut reaper) = self.reaper.take() else {
            return Ok(());
        };
        drop(reaper.stdin.take());
        let status = reaper.wait().context("the reaper cannot be waited for")?;
        if status.success() && !self.folder.exists() {
            return Ok(());
        }
        // The reaper was killed.
        reap(&self.folder)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Err(err) = self.close() {
            eprintln!("sandbox: {} is not gone: {err:#}", self.folder.display());
        }
    }
}

fn lock_path(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

fn create(runs: &Path) -> Result<(PathBuf, File)> {
    // Two threads of a test may start their clusters within the same millisecond.
    static STARTED: AtomicU32 = AtomicU32::new(1);
    let nth = STARTED.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let id = format!("{}-{}-{nth}", now.as_millis(), std::process::id());
    let folder = runs.join(id);
    let new = folder.with_extension("new");
    let lock = File::create(&new).with_context(|| format!("cannot create {}", new.display()))?;
    lock.lock()?;
    // The lock is taken before the file gets its name, so that a visible lock file is always locked.
    fs::rename(&new, lock_path(&folder))?;
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok((folder, lock))
}

/// Removes the runs whose lock is free, which means that their owner is dead. Other runs are not touched.
fn reap_dead(runs: &Path) -> Result<()> {
    for entry in fs::read_dir(runs)? {
        let lock = entry?.path();
        if lock.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        // Another process has removed that run.
        let Ok(file) = File::open(&lock) else {
            continue;
        };
        match file.try_lock() {
            Ok(()) => reap(&lock.with_extension(""))?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(err)) => {
                return Err(err).with_context(|| format!("cannot lock {}", lock.display()));
            }
        }
    }
    Ok(())
}
