//! Whether this run still holds the Lease, checked before each write. A run that was suspended while it
//! prepared a write may have lost the Lease in the meantime, so a renewal counts only for a limited time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Clones share one state.
#[derive(Clone, Default)]
pub struct LeaseState {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Clone, Copy, Default)]
enum State {
    /// No Lease is needed.
    #[default]
    NotNeeded,
    /// Held for this long since the last successful renewal was requested.
    Held(BootInstant, Duration),
    Lost,
}

/// Why a write is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    #[error("another run took over the Lease of this run")]
    Lost,
    #[error("the Lease of this run was not renewed in time, so another run may already write")]
    Expired,
}

/// An instant of two clocks: one that advances while the process is stopped, and one that also advances while
/// the machine is suspended.
#[derive(Clone, Copy)]
pub struct BootInstant {
    process: Instant,
    machine: Option<Duration>,
}

impl BootInstant {
    pub fn now() -> BootInstant {
        BootInstant {
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

/// Time since boot, including suspension; None where the system does not offer it.
fn since_boot() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let seconds = text.split_whitespace().next()?.parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

impl LeaseState {
    /// The server confirmed, at some time after `asked`, that this run holds the Lease for `valid_for`.
    pub fn set_held(&self, asked: BootInstant, valid_for: Duration) {
        self.set(State::Held(asked, valid_for));
    }

    pub fn set_lost(&self) {
        self.set(State::Lost);
    }

    /// From now on no Lease is needed.
    pub fn set_not_needed(&self) {
        self.set(State::NotNeeded);
    }

    /// A lost Lease stays lost.
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

    /// Whether a write may start now.
    pub fn check(&self) -> Result<(), LeaseError> {
        match *self.state() {
            State::NotNeeded => Ok(()),
            State::Held(since, valid_for) if since.elapsed() < valid_for => Ok(()),
            State::Held(..) => Err(LeaseError::Expired),
            State::Lost => Err(LeaseError::Lost),
        }
    }

    /// Like `check`, but if the Lease has expired, waits up to `timeout` for a renewal.
    pub async fn wait_checked(&self, timeout: Duration) -> Result<(), LeaseError> {
        let end = tokio::time::Instant::now() + timeout;
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // Register before checking, so that a renewal in between is noticed.
            changed.as_mut().enable();
            match self.check() {
                Err(LeaseError::Expired) => {}
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
        let state = LeaseState::default();
        assert_eq!(state.check(), Ok(()));
        state.set_held(BootInstant::now(), LONG);
        assert_eq!(state.clone().check(), Ok(()));
        state.set_held(BootInstant::now(), Duration::ZERO);
        assert_eq!(state.check(), Err(LeaseError::Expired));
        assert_eq!(
            state.wait_checked(Duration::ZERO).await,
            Err(LeaseError::Expired)
        );
        let renewal = async { state.set_held(BootInstant::now(), LONG) };
        let (wait_checked, ()) = tokio::join!(state.wait_checked(LONG), renewal);
        assert_eq!(wait_checked, Ok(()));
        state.set_lost();
        state.set_held(BootInstant::now(), LONG);
        state.set_not_needed();
        assert_eq!(state.wait_checked(LONG).await, Err(LeaseError::Lost));
    }

    #[test]
    fn a_machine_that_slept_is_noticed() {
        let Some(now) = since_boot() else { return };
        let slept = BootInstant {
            process: Instant::now(),
            machine: Some(now.saturating_sub(Duration::from_secs(1))),
        };
        assert!(slept.elapsed() >= Duration::from_millis(900));
    }
}
