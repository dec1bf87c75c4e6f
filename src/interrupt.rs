//! Ctrl-C and SIGTERM. The first lets writes under way come to their end, so that what is in the
//! clusters is known, and tells how to go on; a second one, or a server that hangs, is not waited
//! for. Commands that only look end at once.

use std::cell::OnceCell;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use futures::future::join_all;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use crate::mesh::Mesh;
use crate::ui;

/// Nobody waits longer than two seconds for the end of what they stopped.
const LAST_WRITES: Duration = Duration::from_millis(1500);

/// What a command is doing to which clusters.
pub struct Work {
    writes: bool,
    mesh: OnceCell<Mesh>,
}

impl Work {
    pub fn new(writes: bool) -> Work {
        Work {
            writes,
            mesh: OnceCell::new(),
        }
    }

    /// From here on the command writes to these.
    pub fn begins(&self, mesh: &Mesh) {
        let _ = self.mesh.set(mesh.clone());
    }

    /// The command's own end, or that of an interrupt.
    pub async fn until_interrupted(
        &self,
        command: impl Future<Output = Result<ExitCode>>,
    ) -> Result<ExitCode> {
        let mut command = pin!(command);
        let mut signals = Signals::new()?;
        let code = tokio::select! {
            ended = &mut command => return ended,
            code = signals.next() => code,
        };
        let clusters = self.mesh.get().into_iter().flat_map(Mesh::all);
        let last_writes = join_all(clusters.map(|cluster| {
            cluster.transport.stop();
            cluster.transport.idle()
        }));
        tokio::select! {
            // Its last write was its last work.
            ended = &mut command => return ended,
            _ = timeout(LAST_WRITES, last_writes) => {}
            code = signals.next() => return Ok(code),
        }
        if self.writes {
            ui::interrupted(self.mesh.get());
        }
        Ok(code)
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

    /// The exit code that the next one asks for.
    async fn next(&mut self) -> ExitCode {
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::from(130),
            _ = self.terminate.recv() => ExitCode::from(143),
        }
    }
}
