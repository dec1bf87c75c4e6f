//! Handles Ctrl-C and SIGTERM. The first signal drains the writes in flight, so that the state of the clusters is
//! known, and prints how to continue. A command that must take back what it wrote does that first. A second signal, or
//! a server that hangs, ends the command at once. Commands that only read end at once too.

use std::cell::{Cell, OnceCell};
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::k8s::lease::Lease;
use crate::mesh::Mesh;
use crate::result::Ended;
use crate::ui;

/// Time limit for draining, so that the command ends within two seconds.
const LAST_WRITES: Duration = Duration::from_millis(1500);

/// The clusters that a command writes to, and its Lease.
pub struct Work {
    writes: bool,
    has_way_back: bool,
    mesh: OnceCell<Mesh>,
    lease: OnceCell<Lease>,
    /// What the command must take back, and how long that may take.
    takes_back: Cell<Option<(&'static str, Duration)>>,
    /// Whether a signal has come since then.
    is_stopping: Cell<bool>,
    stop: Notify,
}

impl Work {
    pub fn new(writes: bool, has_way_back: bool) -> Work {
        Work {
            writes,
            has_way_back,
            mesh: OnceCell::new(),
            lease: OnceCell::new(),
            takes_back: Cell::new(None),
            is_stopping: Cell::new(false),
            stop: Notify::new(),
        }
    }

    /// From now on, the command writes to these clusters.
    pub fn begins(&self, mesh: &Mesh) {
        let _ = self.mesh.set(mesh.clone());
    }

    /// Stores the Lease, which is released when the command ends or is interrupted.
    pub fn holds(&self, lease: Lease) -> &Lease {
        self.lease.get_or_init(|| lease)
    }

    /// From now on, the command takes back what it wrote before it ends, also after a signal.
    pub fn takes_back(&self, what: &'static str, within: Duration) {
        self.takes_back.set(Some((what, within)));
    }

    pub fn is_asked_to_stop(&self) -> bool {
        self.is_stopping.get()
    }

    /// Returns when a signal asks the command to take back what it wrote, and to end.
    pub async fn asked_to_stop(&self) {
        self.stop.notified().await;
    }

    /// Runs the command until it ends or is interrupted.
    pub async fn until_interrupted(
        &self,
        command: impl Future<Output = Result<Ended>>,
    ) -> Result<Ended> {
        let mut command = pin!(command);
        let mut signals = Signals::new()?;
        let code = tokio::select! {
            ended = &mut command => return ended,
            code = signals.next() => code,
        };
        if let Some((what, within)) = self.takes_back.get() {
            ui::taking_back(what);
            self.is_stopping.set(true);
            self.stop.notify_one();
            tokio::select! {
                ended = &mut command => return ended.map(|_| code),
                () = sleep(within) => {}
                code = signals.next() => return Ok(code),
            }
        }
        tokio::select! {
            biased;
            // The command ended by itself, because of the signal or while its writes were drained.
            ended = &mut command => return ended,
            _ = timeout(LAST_WRITES, self.last_writes()) => {}
            code = signals.next() => return Ok(code),
        }
        if self.writes {
            ui::interrupted(self.mesh.get(), self.has_way_back);
        }
        Ok(code)
    }

    /// Blocks new writes, drains those in flight, then releases the Lease.
    async fn last_writes(&self) {
        let clusters = self.mesh.get().into_iter().flat_map(Mesh::all);
        join_all(clusters.map(|cluster| {
            cluster.transport.stop();
            cluster.transport.idle()
        }))
        .await;
        if let Some(lease) = self.lease.get() {
            lease.release().await;
        }
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal and returns the exit that it asks for.
    async fn next(&mut self) -> Ended {
        tokio::select! {
            _ = self.interrupt.recv() => Ended::Interrupted { code: 130 },
            _ = self.terminate.recv() => Ended::Interrupted { code: 143 },
        }
    }
}
