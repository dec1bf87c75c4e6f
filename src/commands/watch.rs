//! `--watch`: repeats a look at the clusters and prints what changes, until Ctrl-C.

use std::future::pending;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use crate::problem::Exit;
use crate::result::{Ended, Failure, View};
use crate::{limit, ui};

/// How a command watches.
pub struct Watch {
    pub every: Duration,
    /// Whether a look that finds something wrong ends the command.
    pub until_bad: bool,
}

/// Looks again and again. The result is that of the last look, as of when Ctrl-C or a bad look ended the command. A
/// cluster that does not answer is a change; only the first look may fail.
pub async fn watch(watch: &Watch, look: impl AsyncFn(bool) -> Result<Ended>) -> Result<Ended> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    limit::lift();
    let started = Instant::now();
    let mut last: Option<(Ended, View)> = None;
    loop {
        let looked = tokio::select! {
            looked = Box::pin(look(last.is_none())) => looked,
            _ = interrupt.recv() => return ended(last).await,
        };
        let seen = match (looked, &last) {
            (Err(error), None) => return Err(error),
            (Err(error), Some(_)) => Ended::Failed {
                errors: vec![Failure::of(&error)],
                exit: Exit::NotVerified,
            },
            (Ok(seen), _) => seen,
        };
        let before = last.as_ref().map(|(_, view)| view);
        let view = View::of(&seen, before);
        match &last {
            None => ui::first_look(&seen, watch.every),
            Some((_, before)) => {
                let changes = before.changes(&view, started.elapsed());
                changes.iter().for_each(ui::changed);
            }
        }
        if watch.until_bad && seen.code() != 0 {
            return Ok(seen);
        }
        last = Some((seen, view));
        tokio::select! {
            () = tokio::time::sleep(watch.every) => {}
            _ = interrupt.recv() => return ended(last).await,
        }
    }
}

/// The result of the last look. Before the first one, the command is interrupted like any other.
async fn ended(last: Option<(Ended, View)>) -> Result<Ended> {
    match last {
        Some((last, _)) => Ok(last),
        None => pending().await,
    }
}
