//! Reads files that the user names, and files that those name in turn. They may be pipes without a writer, or
//! endless, so reading has limits for time and size, and never blocks the thread that handles signals.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{limit, out, problem};

/// Larger than any real kubeconfig, CA or token file.
const LARGEST: u64 = 16 << 20;

/// The contents of pipes, which can be read only once but may be needed several times.
static PIPES: Mutex<Option<HashMap<PathBuf, Vec<u8>>>> = Mutex::new(None);

/// Runs blocking work on another thread. The end of the process does not wait for it.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Reads a file within the time limit of the command.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let own = path.to_owned();
    // Opening a pipe without a writer blocks forever and cannot be cancelled.
    let started = thread::Builder::new().spawn(move || drop(sender.send(bytes(&own))));
    started.map_err(|error| problem::root_cause(&error))?;
    let left = limit::left();
    let mut read = receiver.recv_timeout(left.min(limit::NOTICE_AFTER));
    if read == Err(RecvTimeoutError::Timeout) && left > limit::NOTICE_AFTER {
        out::note(&format!("still reading {}", path.display()));
        read = receiver.recv_timeout(left - limit::NOTICE_AFTER);
    }
    read.unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => {
                format!("was not fully read within {} s", limit::whole().as_secs())
            }
            RecvTimeoutError::Disconnected => "could not be read".into(),
        })
    })
}

/// Reads a text file.
pub fn text(path: &Path) -> Result<String, String> {
    String::from_utf8(read(path)?).map_err(|_| "not UTF-8".into())
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let kind = fs::metadata(path).map_err(|error| problem::root_cause(&error))?;
    if kind.is_file() || kind.is_dir() {
        return bounded(path);
    }
    let mut pipes = PIPES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = pipes.get_or_insert_default();
    if let Some(bytes) = known.get(path) {
        return Ok(bytes.clone());
    }
    let bytes = bounded(path)?;
    known.insert(path.to_owned(), bytes.clone());
    Ok(bytes)
}

fn bounded(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = |file: File| file.take(LARGEST + 1).read_to_end(&mut bytes);
    let read: io::Result<usize> = File::open(path).and_then(read);
    read.map_err(|error| problem::root_cause(&error))?;
    match bytes.len() as u64 > LARGEST {
        true => Err(format!("larger than {} MiB", LARGEST >> 20)),
        false => Ok(bytes),
    }
}
