//! Causes in where the metrics are kept: how far back they reach, and the way to a store of the user's and from it.

use std::time::Duration;

use super::scrape::told;
use super::{Judgement, Likelihood, Place, likely, of_each};
use crate::age;
use crate::code::Code;
use crate::doctor::Likely;
use crate::doctor::evidence::{Evidence, Metrics};
use crate::k8s::health::Health;

/// What the status says of the way to the store or from it.
fn of_status(
    evidence: &Evidence,
    code: Code,
    (likelihood, place): (Likelihood, Place),
) -> Judgement {
    // Without a store, there are no such rows.
    if !evidence.has_store {
        return Judgement::default();
    }
    of_each(evidence, |cluster| {
        let rows = cluster.rows.as_ref().map_err(Clone::clone)?;
        let found = rows.iter().filter(|row| row.component.code == Some(code));
        let found = found.map(|row| {
            let note = row.component.note.as_deref();
            let seen = match (&row.component.health, note) {
                (Health::Ready, note) => {
                    format!("{}: {}", row.component.object, note.unwrap_or_default())
                }
                (_, note) => told(row) + &note.map(|note| format!("; {note}")).unwrap_or_default(),
            };
            let fix = format!("ambikiali explain {code}");
            likely(&cluster.name, (likelihood, place), seen, fix)
        });
        Ok(found.collect())
    })
}

/// What the store says that it has of a cluster.
fn of_store(evidence: &Evidence, code: Code) -> Judgement {
    let found = match &evidence.stored {
        Ok(found) => found,
        Err(why) => return Judgement::unknown(why),
    };
    let found = found.iter().filter(|one| one.code == Some(code));
    Judgement::likely(found.filter_map(|one| {
        let rank = (Likelihood::Seen, Place::ClusterPrometheus);
        let fix = format!("ambikiali explain {code}");
        Some(likely(one.cluster.as_ref()?, rank, &one.text, fix))
    }))
}

/// The Prometheus of a cluster does not write to the store, by its own counters or by what the store has.
pub fn not_written(evidence: &Evidence) -> Judgement {
    let rank = (Likelihood::Seen, Place::ClusterPrometheus);
    let mut judgement = of_status(evidence, Code::NotWritten, rank);
    let stored = of_store(evidence, Code::NotWritten);
    let told = judgement.likely.iter().map(|one| one.cluster.clone());
    let told = told.collect::<Vec<_>>();
    // The counters tell the reason.
    let more = stored
        .likely
        .into_iter()
        .filter(|one| !told.contains(&one.cluster));
    judgement.likely.extend(more);
    judgement.unknown.extend(stored.unknown);
    judgement
}

/// Several servers write the metrics of one cluster, so that all is counted more than once.
pub fn written_twice(evidence: &Evidence) -> Judgement {
    of_store(evidence, Code::WrittenTwice)
}

/// The store drops series with many labels.
pub fn too_many_labels(evidence: &Evidence) -> Judgement {
    of_store(evidence, Code::TooManyLabels)
}

/// The store took some samples and refused others.
pub fn refused(evidence: &Evidence) -> Judgement {
    let rank = (Likelihood::Possible, Place::ClusterPrometheus);
    of_status(evidence, Code::SamplesRefused, rank)
}

/// Kiali gets nothing from the store.
pub fn not_queried(evidence: &Evidence) -> Judgement {
    of_status(evidence, Code::NotQueried, (Likelihood::Seen, Place::Kiali))
}

/// The window reaches back further than the metrics do.
pub fn short(evidence: &Evidence) -> Judgement {
    let metrics = match &evidence.metrics {
        Ok(metrics) => metrics,
        Err(why) => return Judgement::unknown(why),
    };
    let server = match &metrics.server {
        Ok(server) => server,
        Err(why) => return Judgement::unknown(why),
    };
    let window = evidence.question.window;
    if seconds(&server.retention).is_some_and(|kept| kept < window.as_secs()) {
        let seen = format!(
            "the federating Prometheus keeps metrics for {}, and the window is {}",
            server.retention,
            evidence.window()
        );
        let fix = format!("{} --retention 15d", evidence.install);
        return Judgement::likely([of_history(Likelihood::Seen, seen, fix)]);
    }
    let interval = evidence.interval;
    if window < interval * 2 {
        let seen = format!(
            "the window is {}, and a rate needs two scrapes, which are {} s apart",
            evidence.window(),
            interval.as_secs()
        );
        let fix = format!("ask for a longer time: --since {}s", interval.as_secs() * 4);
        return Judgement::likely([of_history(Likelihood::Seen, seen, fix)]);
    }
    if let Err(why) = metrics.traffic.as_ref().and(metrics.covered.as_ref()) {
        return Judgement::unknown(why);
    }
    let is_young = |age: &Duration| *age < window;
    let young = server
        .age
        .filter(is_young)
        .filter(|_| misses(evidence, metrics));
    Judgement::likely(young.map(|age| young_server(evidence, age)))
}

/// Whether nothing moved, and the window begins before the series of some cluster.
fn misses(evidence: &Evidence, metrics: &Metrics) -> bool {
    let moved = metrics
        .traffic
        .as_ref()
        .is_ok_and(|traffic| !traffic.moved.is_empty());
    let covered = metrics.covered.as_deref().unwrap_or_default();
    let is_covered = |name: &str| covered.iter().any(|one| one == name);
    !moved && evidence.names().any(|name| !is_covered(name.as_str()))
}

fn young_server(evidence: &Evidence, age: Duration) -> Likely {
    let seen = format!(
        "the federating Prometheus has run for {} and has no metrics from before, and the window is {}",
        match age.as_secs() {
            seconds @ ..120 => format!("{seconds} s"),
            _ => age::said(age),
        },
        evidence.window(),
    );
    let fix = format!(
        "wait, or keep the history from now on: {} --storage 20Gi",
        evidence.install
    );
    of_history(Likelihood::Possible, seen, fix)
}

fn of_history(likelihood: Likelihood, seen: String, fix: String) -> Likely {
    Likely {
        cluster: None,
        likelihood,
        place: Place::Federation,
        seen,
        fix,
    }
}

/// A duration of Prometheus such as "15d" or "1h30m"; None if there is none, as in "20GiB".
fn seconds(text: &str) -> Option<u64> {
    let text = text.split(" or ").next()?;
    let mut rest = text.trim();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, length) = match rest {
            rest if rest.starts_with("ms") => return None,
            rest if rest.starts_with('s') => (1, 1),
            rest if rest.starts_with('m') => (60, 1),
            rest if rest.starts_with('h') => (3600, 1),
            rest if rest.starts_with('d') => (86_400, 1),
            rest if rest.starts_with('w') => (604_800, 1),
            rest if rest.starts_with('y') => (31_536_000, 1),
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[length..];
    }
    (total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_metrics_are_kept_is_read() {
        for (text, kept) in [
            ("15d", Some(1_296_000)),
            ("1h30m", Some(5400)),
            ("30s", Some(30)),
            ("15d or 10GiB", Some(1_296_000)),
            ("10GiB", None),
            ("", None),
            ("d", None),
            ("99999999999999999999y", None),
            ("9999999999999999999y", None),
        ] {
            assert_eq!(seconds(text), kept, "{text}");
        }
    }
}
