//! Clean shutdown: a signal drops the work in progress, and dropping a run ends it.

use std::future::Future;

use ambikiali_sandbox::{Delays, Sandbox};
use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGINT and SIGTERM. Create it once at the start, so that no signal is lost between two waits.
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

    /// For a command in the foreground: a Ctrl-C reaches the command too, and the command decides what to do.
    pub async fn terminated(&mut self) {
        self.terminate.recv().await;
    }

    /// Drops the work on a signal.
    pub async fn or<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            result = work => result,
            () = self.any() => bail!("stopped by a signal"),
        }
    }

    /// Starts a sandbox and prints its progress to stderr. stdout is for the requested output.
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
