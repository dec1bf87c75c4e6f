//! Whether the Prometheus of a cluster writes to the store, by its own counters. They say nothing about what the store
//! makes of a sample after it has answered.

use std::time::Duration;

use anyhow::{Context, Result};

use super::PODS;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::forward::Connection;
use crate::k8s::health::Health;
use crate::k8s::look::Component;
use crate::k8s::{Scope, pods, wait};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::store::{self, Store};
use crate::visible;

const ANSWER: Duration = Duration::from_secs(10);
/// A batch and an answer, which come after the scrapes.
const MARGIN: Duration = Duration::from_secs(30);
/// The queue to the store, by its name in the configuration.
const QUEUE: &str = "remote_name=\"ambikiali\"";
const PREFIX: &str = "prometheus_remote_storage_";

/// What a Prometheus counts of one queue since it started. Times are those of samples, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    newest: f64,
    sent: f64,
    samples: f64,
    failed: f64,
}

impl Counters {
    /// Reads Prometheus' page about itself. None if it has no queue to the store.
    fn read(page: &str) -> Option<Counters> {
        let of_queue = |name: &str| {
            let lines = page.lines().filter(|line| line.contains(QUEUE));
            let mut values = lines.filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (found, _) = series.strip_prefix(PREFIX)?.split_once('{')?;
                let value = value.parse::<f64>().ok().filter(|v| v.is_finite())?;
                (found == name).then_some(value)
            });
            values.next()
        };
        Some(Counters {
            newest: of_queue("queue_highest_timestamp_seconds").unwrap_or_default(),
            sent: of_queue("queue_highest_sent_timestamp_seconds")?,
            samples: of_queue("samples_total")?,
            failed: of_queue("samples_failed_total")?,
        })
    }

    /// What the store refused since the server started. None if it took everything.
    pub fn refused(&self) -> Option<String> {
        let failed = self.failed;
        (failed > 0.0).then(|| {
            format!(
                "the store refused {failed:.0} samples since this server started, which are lost"
            )
        })
    }
}

/// Whether the store took what was sent after `before`. `late` is how far it may be behind.
fn judge(before: &Counters, now: &Counters, late: Duration) -> Health {
    let refused = now.failed - before.failed;
    let behind = now.newest - now.sent;
    let is_late = behind > late.as_secs_f64();
    match () {
        () if now.samples == 0.0 => Health::InProgress("it has sent no sample yet".into()),
        () if refused > 0.0 => Health::InProgress(format!(
            "the store refused {refused:.0} samples, which are lost"
        )),
        () if now.sent == 0.0 => Health::InProgress("it has sent no sample yet".into()),
        () if now.sent <= before.sent && is_late => {
            Health::InProgress(format!("nothing was sent for {behind:.0} s"))
        }
        () if now.sent <= before.sent => {
            Health::InProgress("nothing was sent since the last look".into())
        }
        () if is_late => Health::InProgress(format!("it is {behind:.0} s behind")),
        () => Health::Ready,
    }
}

/// Two scrapes, and a batch.
fn late(scope: &Scope<'_>) -> Duration {
    scope.settings.metrics.interval.times(2)
}

/// The store as an object to show.
pub fn id(store: &Store) -> ObjectId {
    ObjectId::cluster_wide("Store", &store.write_url)
}

/// The counters now.
pub async fn counters(scope: &Scope<'_>) -> Result<Counters> {
    let target = super::target(scope).await?;
    let target = target.context("no pod of its Prometheus is ready")?;
    let mut server = Connection::once(scope, &target, ANSWER).await?;
    let page = server.text("/metrics").await?;
    Counters::read(&page).context("its Prometheus does not write to a store: run install again")
}

/// Waits until the store has taken samples that were sent after `before`, and returns the counters.
pub async fn sends(scope: &Scope<'_>, before: Counters) -> Result<Counters, String> {
    let Some(store) = &scope.settings.store else {
        return Ok(before);
    };
    let patience = scope.settings.metrics.interval.times(2) + MARGIN;
    let mut before = before;
    let object = id(store);
    let waited = wait::poll(scope, &object, patience, async || {
        match counters(scope).await {
            Ok(now) => {
                let health = judge(&before, &now, late(scope));
                // What was refused once is no reason to refuse the rest.
                if now.sent > before.sent {
                    before = now;
                }
                health
            }
            Err(error) => Health::InProgress(format!("{error:#}")),
        }
    });
    match waited.await {
        Ok(()) => Ok(before),
        Err(why) => Err(match said(scope).await {
            Some(cause) => format!("{why}: {cause}"),
            None => why,
        }),
    }
}

/// For an install: whatever was taken before counts too.
pub async fn writes(scope: &Scope<'_>) -> Result<()> {
    let Some(store) = scope
        .settings
        .store
        .as_ref()
        .filter(|_| !scope.choices.dry_run)
    else {
        return Ok(());
    };
    let sends = sends(scope, Counters::default()).await;
    sends.map_err(|why| {
        let cause = format!(
            "{}: its Prometheus does not write to {}: {why}",
            scope.cluster.name, store.write_url
        );
        Problem::new(Exit::TimedOut, cause)
            .code(Code::NotWritten)
            .fix(format!("ambikiali explain {}", Code::NotWritten))
    })?;
    scope
        .progress
        .done(format!("writes to {}", store.write_url));
    Ok(())
}

/// For `status`, which looks once.
pub async fn status(scope: &Scope<'_>) -> Vec<Component> {
    let Some(store) = &scope.settings.store else {
        return Vec::new();
    };
    let mut refused = None;
    let health = match counters(scope).await {
        Ok(now) => {
            // The growth since the start of the server, but for what was refused, unless that was all.
            let none_taken = now.failed > 0.0 && now.failed >= now.samples;
            let before = Counters {
                failed: if none_taken { 0.0 } else { now.failed },
                ..Counters::default()
            };
            refused = now.refused();
            judge(&before, &now, late(scope))
        }
        Err(error) => Health::InProgress(format!("{error:#}")),
    };
    let mut component = Component::new(id(store), health);
    if component.health != Health::Ready {
        component.code = Some(Code::NotWritten);
        component.note = said(scope).await;
    } else if let Some(refused) = refused {
        component.code = Some(Code::SamplesRefused);
        // A line about anything but a refusal is about another time.
        let cause = said(scope).await;
        let cause = cause.filter(|said| said.contains("HTTP status 4"));
        let cause = cause.map(|said| format!(": {said}")).unwrap_or_default();
        component.note = Some(format!("{refused}{cause}"));
    }
    vec![component]
}

/// What the store, or the way to it, answered last. None if the log does not say it.
async fn said(scope: &Scope<'_>) -> Option<String> {
    let pod = pods::ready(scope, ISTIO_NAMESPACE, PODS).await.ok()??;
    let lines = pods::log(scope, ISTIO_NAMESPACE, &pod).await?;
    let mut lines = lines.lines().rev();
    let cause = lines.find_map(cause)?;
    let has_ca = scope
        .settings
        .store
        .as_ref()
        .is_some_and(|s| s.ca.is_some());
    let hint = hint(&cause, has_ca).unwrap_or_default();
    Some(format!("{}{hint}", visible::short(&cause, visible::SAID)))
}

/// The error in a line of Prometheus' log about the queue.
fn cause(line: &str) -> Option<String> {
    if !line.contains("remote_name=ambikiali") {
        return None;
    }
    let (_, error) = line.split_once(" err=")?;
    let error = match error.strip_prefix('"') {
        Some(quoted) => {
            let mut text = String::new();
            let mut escaped = false;
            for c in quoted.chars() {
                match c {
                    _ if escaped => {
                        text.push(if c == 'n' { ' ' } else { c });
                        escaped = false;
                    }
                    '\\' => escaped = true,
                    '"' => break,
                    c => text.push(c),
                }
            }
            text
        }
        None => error.split(' ').next().unwrap_or_default().to_string(),
    };
    // Go's client begins with the URL, which the message has already.
    let error = match error.split_once("\": ") {
        Some((_, cause)) => cause.to_string(),
        None => error,
    };
    (!error.is_empty()).then_some(error)
}

/// What to do about an answer that has a known reason.
fn hint(cause: &str, has_ca: bool) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    Some(match () {
        () if has(&["HTTP status 401", "HTTP status 403"]) => {
            "; give the tenant with --store-header, or credentials with --store-secret"
        }
        () if has(&["HTTP status 404", "HTTP status 405"]) => {
            "; nothing takes samples there: give the whole --remote-write-url"
        }
        () if has(&["max-label-names", "label names"]) => {
            "; the store takes fewer labels: raise its limit for the labels of a series"
        }
        () if has(&[
            "out of bounds",
            "too old",
            "too-old",
            "out-of-order",
            "out of order",
        ]) =>
        {
            "; the store refuses the time of the samples: compare the clocks, and whether another one writes the same series"
        }
        () if has(&["x509"]) => store::certificate_hint(cause, has_ca),
        () if has(&["gave HTTP response to HTTPS client"]) => {
            "; nothing speaks TLS there: the URL begins with http://"
        }
        () if has(&["HTTP status 30"]) => "; redirects are not followed",
        () => return None,
    })
}

#[cfg(test)]
mod tests;
