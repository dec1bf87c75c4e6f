//! Finds the processes of a run by their environment. What kwokctl starts in the background shares no parent or process
//! group with us, but it inherits the environment.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::MARK;

/// Returns the living processes with exactly this folder in the variable. A zombie has no environment.
pub fn of(folder: &Path) -> Vec<Pid> {
    let wanted = [MARK.as_bytes(), b"=", folder.as_os_str().as_bytes()].concat();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let environ = fs::read(entry.path().join("environ")).ok()?;
            let marked = environ.split(|byte| *byte == 0).any(|var| var == wanted);
            marked.then(|| Pid::from_raw(pid)).flatten()
        })
        .collect()
}

/// Kills processes until none is left, because a process may start another one in the meantime.
pub fn kill(folder: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let left = of(folder);
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{} processes do not die", left.len());
        }
        for pid in left {
            // The process may have exited by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        sleep(Duration::from_millis(10));
    }
}
