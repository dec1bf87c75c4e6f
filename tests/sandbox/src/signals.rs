//! Ending cleanly: a signal drops what is under way, and dropping a run ends it.

use std::future::Future;

use ambikiali_sandbox::{Delays, Sandbox};
use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Resolves at the first SIGINT or SIGTERM. Made once at the beginning: a signal between two of
/// them would be lost.
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    pub fn new() -> Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// For a command in the foreground: Ctrl-C reached it too, and it decides what that means.
    pub async fn terminated(&mut self) {
        self.terminate.recv().await;
    }

    /// Drops the work at a signal.
    pub async fn or<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            () = self.any() => bail!("stopped by a signal"),
        }
    }

    /// Progress goes to stderr: stdout is for what was asked for.
    pub async fn start(&mut self, names: &[String], delays: bool) -> Result<Sandbox> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let delays = if delays {
            Delays::MEASURED
        } else {
            Delays::NONE
        };
        let say = |line: &str| eprintln!("{line}");
        self.or(Sandbox::start(&names, delays, say)).await
    }
}
