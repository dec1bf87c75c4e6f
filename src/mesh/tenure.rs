//! For how long this run may be sure that it is the one that writes. A Lease that was renewed some time
//! ago may be another run's by now, whatever this one still believes: it may have been stopped, with all
//! that renews and looks, and goes on with a write that it had begun to prepare.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Clones are the same one.
#[derive(Clone, Default)]
pub struct Tenure {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Clone, Copy, Default)]
enum State {
    /// Nothing that two could quarrel about.
    #[default]
    Free,
    /// From the moment before it was last asked for, for so long.
    Held(Moment, Duration),
    Lost,
}

/// What a write is refused with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    #[error("the Lease of this run was taken over by another run")]
    Lost,
    #[error("the Lease of this run was not renewed in time, so another run may write by now")]
    Unsure,
}

/// A moment by two clocks: the one that goes on while a process is stopped, and the one that goes on
/// while the machine sleeps.
#[derive(Clone, Copy)]
pub struct Moment {
    process: Instant,
    machine: Option<Duration>,
}

impl Moment {
    pub fn now() -> Moment {
        Moment {
            process: Instant::now(),
            machine: since_boot(),
        }
    }

    fn elapsed(&self) -> Duration {
        let machine = since_boot().zip(self.machine);
        let machine = machine.map(|(now, then)| now.saturating_sub(then));
        self.process.elapsed().max(machine.unwrap_or_default())
    }
}

/// With the time that the machine slept; None where the system does not tell it so.
fn since_boot() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds = text.split_whitespace().next()?.parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

impl Tenure {
    /// The server said at some time after `asked` that it is ours.
    pub fn held(&self, asked: Moment, sure: Duration) {
        self.set(State::Held(asked, sure));
    }

    pub fn lost(&self) {
        self.set(State::Lost);
    }

    /// There is nothing to hold any more.
    pub fn free(&self) {
        self.set(State::Free);
    }

    /// One that is lost stays lost.
    fn set(&self, to: State) {
        let mut state = self.state();
        if !matches!(*state, State::Lost) {
            *state = to;
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_lost(&self) -> bool {
        matches!(*self.state(), State::Lost)
    }

    /// Whether a write may begin now.
    pub fn check(&self) -> Result<(), NotOurs> {
        match *self.state() {
            State::Free => Ok(()),
            State::Held(since, sure) if since.elapsed() < sure => Ok(()),
            State::Held(..) => Err(NotOurs::Unsure),
            State::Lost => Err(NotOurs::Lost),
        }
    }

    /// As `check`, after a renewal that is under way; it gets `patience`.
    pub async fn checked(&self, patience: Duration) -> Result<(), NotOurs> {
        let end = tokio::time::Instant::now() + patience;
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Before the look: a renewal between the two must be heard of.
            changed.as_mut().enable();
            match self.check() {
                Err(NotOurs::Unsure) => {}
                decided => return decided,
            }
            if tokio::time::timeout_at(end, changed).await.is_err() {
                return self.check();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn only_what_was_renewed_in_time_may_write() {
        let tenure = Tenure::default();
        assert_eq!(tenure.check(), Ok(()));
        tenure.held(Moment::now(), LONG);
        assert_eq!(tenure.clone().check(), Ok(()));
        tenure.held(Moment::now(), Duration::ZERO);
        assert_eq!(tenure.check(), Err(NotOurs::Unsure));
        assert_eq!(tenure.checked(Duration::ZERO).await, Err(NotOurs::Unsure));
        let renewal = async { tenure.held(Moment::now(), LONG) };
        let (checked, ()) = tokio::join!(tenure.checked(LONG), renewal);
        assert_eq!(checked, Ok(()));
        tenure.lost();
        tenure.held(Moment::now(), LONG);
        tenure.free();
        assert_eq!(tenure.checked(LONG).await, Err(NotOurs::Lost));
    }

    #[test]
    fn a_machine_that_slept_is_noticed() {
        let Some(now) = since_boot() else { return };
        let slept = Moment {
            process: Instant::now(),
            machine: Some(now.saturating_sub(Duration::from_secs(1))),
        };
        assert!(slept.elapsed() >= Duration::from_millis(900));
    }
}
