//! The time limit of the whole command, for waits outside of a step, such as for files and credential plugins.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The limit if none was set.
const USUAL: Duration = Duration::from_secs(600);

/// After this time, the user is told about a wait.
pub const NOTICE_AFTER: Duration = Duration::from_secs(3);

static BEGUN: OnceLock<(Instant, Duration)> = OnceLock::new();
static LIFTED: AtomicBool = AtomicBool::new(false);

pub fn begin(whole: Duration) {
    let _ = BEGUN.set((Instant::now(), whole));
}

/// Lifts the limit for a command that runs until it is stopped. Each wait then gets the whole time.
pub fn lift() {
    LIFTED.store(true, Ordering::Relaxed);
}

pub fn whole() -> Duration {
    BEGUN.get().map_or(USUAL, |(_, whole)| *whole)
}

pub fn left() -> Duration {
    match BEGUN.get() {
        Some((start, whole)) if !LIFTED.load(Ordering::Relaxed) => {
            whole.saturating_sub(start.elapsed())
        }
        _ => whole(),
    }
}
