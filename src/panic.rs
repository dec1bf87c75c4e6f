//! Handles panics. A panic is a bug: no input may cause one. If one happens, in a task or in the command, it is
//! reported as a bug and the program exits with 1.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::problem::{Exit, bug};
use crate::result::Failure;
use crate::ui;

static SEEN: AtomicBool = AtomicBool::new(false);

/// Replaces the default message of a panic, which may contain a token.
pub fn tell() {
    std::panic::set_hook(Box::new(|panic| {
        // Only the first panic counts; others follow from it.
        if !SEEN.swap(true, Ordering::Relaxed) {
            ui::error(&Failure::of(&bug(&place(panic)).into()));
        }
    }));
}

fn place(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location();
    place.map_or("a place that is not known".into(), |at| {
        format!("{}:{}", at.file(), at.line())
    })
}

/// The exit code after all.
pub fn ended(code: u8) -> u8 {
    match SEEN.load(Ordering::Relaxed) {
        true => Exit::Unexpected as u8,
        false => code,
    }
}
