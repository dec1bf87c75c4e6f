//! Removes a run: first its processes, then its folder, then its lock file.

use std::fs;
use std::io::{ErrorKind, Result as IoResult};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{lock_path, processes};

/// Removes what is left of a run whose owner is gone. Safe to run twice at the same time.
pub fn reap(folder: &Path) -> Result<()> {
    processes::kill(folder)?;
    let mut attempts = 0;
    // A killed process may still have created a file.
    while let Err(err) = absent(fs::remove_dir_all(folder)) {
        attempts += 1;
        if attempts > 20 {
            return Err(err).with_context(|| format!("cannot remove {}", folder.display()));
        }
        sleep(Duration::from_millis(50));
    }
    let lock = lock_path(folder);
    absent(fs::remove_file(&lock)).with_context(|| format!("cannot remove {}", lock.display()))
}

fn absent(result: IoResult<()>) -> IoResult<()> {
    match result {
        Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
