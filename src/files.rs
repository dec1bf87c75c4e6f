//! Files that the user names, and those that they name in turn. They may be pipes that nobody writes to,
//! or have no end: each is read in bounds of time and size, and away from where signals are heard.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{limit, problem, ui};

/// Larger than any that a person or a platform writes.
const LARGEST: u64 = 16 << 20;

/// What pipes had in them: they give it once, and several may need it.
static PIPES: Mutex<Option<HashMap<PathBuf, Vec<u8>>>> = Mutex::new(None);

/// Work that reads files, done where it holds up nobody. What is left of it at the end of the process
/// is not waited for.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// What is in a file, as long as that has an end within the time of the command.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let own = path.to_owned();
    // To open a pipe that nobody writes to takes for ever, and nothing ends that.
    let started = thread::Builder::new().spawn(move || drop(sender.send(bytes(&own))));
    started.map_err(|error| problem::root_cause(&error))?;
    let left = limit::left();
    let mut read = receiver.recv_timeout(left.min(limit::TELL));
    if read == Err(RecvTimeoutError::Timeout) && left > limit::TELL {
        ui::note(&format!("still reading {}", path.display()));
        read = receiver.recv_timeout(left - limit::TELL);
    }
    read.unwrap_or_else(|error| {
        Err(match error {
            RecvTimeoutError::Timeout => {
                format!("did not end within {} s", limit::whole().as_secs())
            }
            RecvTimeoutError::Disconnected => "could not be read".into(),
        })
    })
}

/// The same, where it must be text.
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
