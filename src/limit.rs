//! The time that the whole command has, from its start: for what is waited for before and beside the
//! work on clusters, like files and credential plugins.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Where no command has begun: completions of the shell.
const USUAL: Duration = Duration::from_secs(600);

/// After so long, a wait is told to who waits.
pub const TELL: Duration = Duration::from_secs(3);

static BEGUN: OnceLock<(Instant, Duration)> = OnceLock::new();
static LIFTED: AtomicBool = AtomicBool::new(false);

pub fn begin(whole: Duration) {
    let _ = BEGUN.set((Instant::now(), whole));
}

/// From here on the command has no end of its own, and each wait has all the time.
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
