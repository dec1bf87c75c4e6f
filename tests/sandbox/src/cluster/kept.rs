//! Restarts programs that exit, as the kubelet restarts the pods of a control plane. Some of them exit when the API
//! server is away for a while.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Child;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::Cluster;

/// The tasks that restart the programs, by PID file.
pub type Kept = Mutex<Tasks>;
type Tasks = HashMap<PathBuf, AbortOnDropHandle<()>>;

impl Cluster {
    pub(crate) fn keep_running(&self, command: Command, pid: PathBuf) -> Result<()> {
        let mut command = tokio::process::Command::from(command);
        let mut child = started(&mut command, &pid)?;
        let file = pid.clone();
        let kept = tokio::spawn(async move {
            while child.wait().await.is_ok() {
                sleep(Duration::from_secs(1)).await;
                match started(&mut command, &file) {
                    Ok(new) => child = new,
                    Err(err) => return eprintln!("{err:#}"),
                }
            }
        });
        self.kept().insert(pid, AbortOnDropHandle::new(kept));
        Ok(())
    }

    /// Stops restarting a program. The program itself keeps running.
    pub(super) fn let_go(&self, pid: &Path) {
        self.kept().remove(pid);
    }

    fn kept(&self) -> MutexGuard<'_, Tasks> {
        let kept = self.inner.kept.lock();
        kept.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the program with tokio, which reaps a dropped child. Otherwise a killed one would stay a zombie.
fn started(command: &mut tokio::process::Command, pid: &Path) -> Result<Child> {
    let program = command.as_std().get_program().to_owned();
    let named = || program.display().to_string();
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {}", named()))?;
    let number = child
        .id()
        .with_context(|| format!("{} ended at once", named()))?;
    fs::write(pid, number.to_string())?;
    Ok(child)
}
