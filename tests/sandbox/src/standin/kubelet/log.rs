//! The log of a container in the CRI format. kwok serves it as the pod's log and parses no other format.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;

/// The part of a log that the kubelet keeps as the termination message.
const MESSAGE_LINES: usize = 80;
const MESSAGE_BYTES: usize = 2048;

/// The log of a container and of its previous run.
pub struct Log {
    folder: PathBuf,
    file: Mutex<File>,
}

impl Log {
    pub fn create(folder: &Path) -> io::Result<Log> {
        fs::create_dir_all(folder)?;
        File::create(silent(folder))?;
        Ok(Log {
            folder: folder.to_owned(),
            file: Mutex::new(File::create(current(folder))?),
        })
    }

    /// Starts an empty log. The current log becomes the log of the previous run.
    pub fn rotate(&self) -> io::Result<()> {
        fs::rename(current(&self.folder), previous(&self.folder))?;
        let file = File::create(current(&self.folder))?;
        *self.file.lock().unwrap_or_else(|e| e.into_inner()) = file;
        Ok(())
    }

    pub fn write(&self, text: &str) {
        let now = Timestamp::now();
        let mut file = self.file.lock().unwrap_or_else(|e| e.into_inner());
        for line in text.lines() {
            // One write per line, because kwok reads the file at the same time.
            if let Err(error) = file.write_all(format!("{now} stdout F {line}\n").as_bytes()) {
                eprintln!("log {}: {error}", self.folder.display());
            }
        }
    }

    /// Returns the end of the log, as the kubelet reports it for a failed container.
    pub fn tail(&self) -> String {
        let text = fs::read_to_string(current(&self.folder)).unwrap_or_default();
        last_lines(&text)
    }
}

pub fn current(folder: &Path) -> PathBuf {
    folder.join("current.log")
}

pub fn previous(folder: &Path) -> PathBuf {
    folder.join("previous.log")
}

/// The log of a container that is only reported as running.
pub fn silent(folder: &Path) -> PathBuf {
    folder.join("silent.log")
}

fn last_lines(text: &str) -> String {
    let mut kept = Vec::new();
    let mut bytes = 0;
    for line in text.lines().rev().take(MESSAGE_LINES) {
        let line = line.splitn(4, ' ').nth(3).unwrap_or_default();
        bytes += line.len() + 1;
        if bytes > MESSAGE_BYTES {
            break;
        }
        kept.push(line);
    }
    kept.reverse();
    kept.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_message_is_the_end_without_stamps() {
        let text = "2026-01-01T00:00:00Z stdout F a b c\n2026-01-01T00:00:01Z stdout F d\n";
        assert_eq!(last_lines(text), "a b c\nd\n");
        let long: String = (0..200).map(|n| format!("t stdout F {n}\n")).collect();
        assert_eq!(last_lines(&long).lines().count(), 80);
        let wide = format!("t stdout F {}\nt stdout F end\n", "x".repeat(3000));
        assert_eq!(last_lines(&wide), "end\n");
    }
}
