//! The processes of a run, found by their environment: what kwokctl sends to the background has
//! no parent or group in common with us, but it inherits this.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::MARK;

/// Living processes whose variable is exactly this folder. A zombie has no environment any more.
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

/// Kills until none is left: a process may start another one while we look.
pub fn kill(folder: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = of(folder);
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{} processes do not die", left.len());
        }
        for pid in left {
            // One that ended by itself meanwhile is as good as killed.
            let _ = kill_process(pid, Signal::KILL);
        }
        sleep(Duration::from_millis(10));
    }
}
