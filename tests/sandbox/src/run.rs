//! One run of the sandbox: a folder that holds every file of it, a variable in the environment of
//! every process of it, and a reaper that ends both when the owner is gone, however it went. A
//! control plane that outlives its test would take memory and addresses from everybody after it.

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

/// Every process of a run has the run's folder in this variable, and so has what it starts.
pub const MARK: &str = "AMBIKIALI_SANDBOX_RUN";

/// The environment of the programs, which are all Go programs but our own. Cores are scarcer here than memory: a
/// collection for each doubling of what they hold takes a sixth of their time. Beyond a gigabyte they collect
/// nevertheless, so that an API server that has run for long takes no more than a new one.
pub const GO: [(&str, &str); 2] = [("GOGC", "400"), ("GOMEMLIMIT", "1GiB")];

/// The run that this process owns.
pub struct Run {
    folder: PathBuf,
    sandbox_binary: PathBuf,
    reaper: Option<Child>,
    /// Held for as long as this process lives; the system frees it in any case.
    _lock: File,
}

impl Run {
    /// Ends what dead owners left, then makes a new folder under `<target>/sandbox/run`.
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
            // Its own group: Ctrl-C must reach the owner only.
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

    /// A program that belongs to this run and never outlives it.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env(MARK, &self.folder).stdin(Stdio::null());
        command.envs(GO);
        // Its own group: on Ctrl-C the owner stops first, its servers after it.
        command.process_group(0);
        command
    }

    /// Nothing of the run is left when this returns.
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
        // Somebody killed the reaper.
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
    // Two threads of a test start their clusters in the same millisecond.
    static STARTED: AtomicU32 = AtomicU32::new(1);
    let nth = STARTED.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let id = format!("{}-{}-{nth}", now.as_millis(), std::process::id());
    let folder = runs.join(id);
    let new = folder.with_extension("new");
    let lock = File::create(&new).with_context(|| format!("cannot create {}", new.display()))?;
    lock.lock()?;
    // Renamed when already locked: whoever sees the lock file sees it held.
    fs::rename(&new, lock_path(&folder))?;
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok((folder, lock))
}

/// A free lock means a dead owner. Live runs are not touched.
fn reap_dead(runs: &Path) -> Result<()> {
    for entry in fs::read_dir(runs)? {
        let lock = entry?.path();
        if lock.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        // Gone since: another process ended that run.
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
