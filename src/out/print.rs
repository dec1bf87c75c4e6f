//! The two streams. A closed stdout is ignored. Any other write error is reported once at the end, because it must not
//! interrupt work in clusters.

use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

use super::lock;
use crate::problem;

static FAULT: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line to stdout.
pub fn line(text: &str) {
    let mut out = anstream::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = written {
        broken(error);
    }
}

/// Remembers the first write error of stdout.
pub fn broken(error: io::Error) {
    if error.kind() != ErrorKind::BrokenPipe {
        lock(&FAULT).get_or_insert(error);
    }
}

/// Prints a line to stderr, and ignores write errors.
pub fn aside(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// The exit code after everything is printed.
pub fn ended(code: u8) -> u8 {
    let Some(error) = lock(&FAULT).take() else {
        return code;
    };
    aside(&format!("error: stdout: {}", problem::root_cause(&error)));
    code.max(1)
}
