//! The two streams. A reader of stdout that left wants no more; any other fault of it is told once, at
//! the end, because work in clusters must not end in the middle for it.

use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

use super::lock;
use crate::problem;

static FAULT: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line of stdout.
pub fn line(text: &str) {
    let mut out = anstream::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    if let Err(error) = written {
        broken(error);
    }
}

/// What became of stdout, of whoever wrote to it.
pub fn broken(error: io::Error) {
    if error.kind() != ErrorKind::BrokenPipe {
        lock(&FAULT).get_or_insert(error);
    }
}

/// A line of stderr, where there is nobody to tell of a fault.
pub fn aside(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// The exit code, when all that there is to say is said.
pub fn ended(code: u8) -> u8 {
    let Some(error) = lock(&FAULT).take() else {
        return code;
    };
    aside(&format!("error: stdout: {}", problem::root_cause(&error)));
    code.max(1)
}
