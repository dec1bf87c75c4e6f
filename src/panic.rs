//! A panic is a fault of this program: no input may make one. Where it happens all the same, in a task or
//! in the command itself, it is told as what it is and ends the program with exit code 1.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::problem::{Exit, bug};
use crate::ui;

static SEEN: AtomicBool = AtomicBool::new(false);

/// From now on, in place of the message of the panic: that may have anything in it, like a token.
pub fn tell() {
    std::panic::set_hook(Box::new(|panic| {
        // The first one; others follow from it.
        if !SEEN.swap(true, Ordering::Relaxed) {
            ui::error(&bug(&place(panic)).into());
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
