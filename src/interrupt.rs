//! Ctrl-C and SIGTERM. The first lets writes under way come to their end, so that what is in the
//! clusters is known, and tells how to go on; a second one, or a server that hangs, is not waited
//! for. Commands that only look end at once.

use std::cell::OnceCell;
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::document::Ended;
use crate::k8s::lease::Lease;
use crate::mesh::Mesh;
use crate::ui;

/// Nobody waits longer than two seconds for the end of what they stopped.
const LAST_WRITES: Duration = Duration::from_millis(1500);

/// What a command is doing to which clusters.
pub struct Work {
    writes: bool,
    has_way_back: bool,
    mesh: OnceCell<Mesh>,
    lease: OnceCell<Lease>,
}

impl Work {
    pub fn new(writes: bool, has_way_back: bool) -> Work {
        Work {
            writes,
            has_way_back,
            mesh: OnceCell::new(),
            lease: OnceCell::new(),
        }
    }

    /// From here on the command writes to these.
    pub fn begins(&self, mesh: &Mesh) {
        let _ = self.mesh.set(mesh.clone());
    }

    /// For the command; released after its last write, however it ends.
    pub fn holds(&self, lease: Lease) -> &Lease {
        self.lease.get_or_init(|| lease)
    }

    /// The command's own end, or that of an interrupt.
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
        tokio::select! {
            // Its last write was its last work.
            ended = &mut command => return ended,
            _ = timeout(LAST_WRITES, self.last_writes()) => {}
            code = signals.next() => return Ok(code),
        }
        if self.writes {
            ui::interrupted(self.mesh.get(), self.has_way_back);
        }
        Ok(code)
    }

    /// Lets none begin, and the next run in when the last one is answered.
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

    /// The end that the next one asks for.
    async fn next(&mut self) -> Ended {
        tokio::select! {
            _ = self.interrupt.recv() => Ended::interrupted(130),
            _ = self.terminate.recv() => Ended::interrupted(143),
        }
    }
}
