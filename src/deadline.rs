//! The deadline of a command or step.

use std::time::{Duration, Instant};

/// One instant that bounds every request and wait of a command.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    pub whole: Duration,
}

impl Deadline {
    pub fn after(whole: Duration) -> Deadline {
        Deadline {
            at: Instant::now() + whole,
            whole,
        }
    }

    pub fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// This deadline, or one after `whole` if that is earlier.
    pub fn sooner(self, whole: Duration) -> Deadline {
        if self.left() < whole {
            return self;
        }
        Deadline::after(whole)
    }

    /// The time that is left, at most `other`.
    pub fn at_most(self, other: Duration) -> Duration {
        self.left().min(other)
    }
}
