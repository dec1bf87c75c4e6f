//! The moments at which a command can be killed: before and after each of its requests, as they are
//! in the journal of a run that was not disturbed.

use std::collections::HashMap;
use std::fmt;

use ambikiali_sandbox::fault::{Action, Entry, Fault, Gate, Proxy, Verb, When};

/// So many kills after each other, at both moments of each request, before a command is let through
/// to its end.
pub const CHAIN: usize = 6;

/// A request, by what it is and not by when it came: requests run side by side, in another order in
/// each run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    verb: Verb,
    method: String,
    path: String,
    /// Of those with this verb and path.
    nth: usize,
    moment: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// It is at the server's door.
    Before,
    /// It was stored, and nobody has heard of it.
    After,
}

impl Point {
    /// Holds that request of the next run. The gate opens when it is so far.
    pub fn set(&self, proxy: &Proxy) -> Gate {
        let gate = Gate::closed();
        let held = gate.clone();
        proxy.add(Fault {
            verbs: alone(self.verb),
            // As long as the tests run; there are a few hundred.
            path: self.path.clone().leak(),
            when: When::Nth(self.nth),
            action: match self.moment {
                Moment::Before => Action::Halt(held),
                Moment::After => Action::HaltAfter(held),
            },
        });
        gate
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = match self.moment {
            Moment::Before => "before",
            Moment::After => "after",
        };
        write!(f, "{moment} {} {} ({})", self.method, self.path, self.nth)
    }
}

/// Those of one command that are to be tried.
#[derive(Clone, Default)]
pub struct Points {
    all: Vec<Point>,
    /// The next one last.
    waiting: Vec<Point>,
    tried: usize,
    missed: usize,
}

impl Points {
    /// Both moments of each request, or of each write: between two writes nothing changes, and a
    /// kill there finds the clusters as after the first of them.
    pub fn of(journal: &[Entry], all: bool) -> Points {
        let all = points(journal, all);
        // Two that were let through would be no sweep.
        assert!(all.len() > 30, "{} points", all.len());
        Points {
            waiting: apart(&all),
            all,
            ..Points::default()
        }
    }

    pub fn every(&self, nth: usize) -> Vec<Point> {
        self.all.iter().step_by(nth).cloned().collect()
    }

    pub fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn next(&mut self) -> Option<Point> {
        self.waiting.pop()
    }

    /// As the first one of a chain.
    pub fn again(&mut self, point: Point) {
        self.waiting.push(point);
    }

    pub fn tried(&mut self) {
        self.tried += 1;
    }

    /// Nothing came to it: a request that depends on time.
    pub fn missed(&mut self) {
        self.missed += 1;
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} points", self.tried, self.all.len())?;
        match self.missed {
            0 => Ok(()),
            missed => write!(f, " ({missed} never came)"),
        }
    }
}

/// Requests that are far apart beside each other, as a chain of kills goes through them: what comes
/// next must not have been done by the way. The next one last.
fn apart(points: &[Point]) -> Vec<Point> {
    let requests = points.chunk_by(|a, b| a.path == b.path && a.nth == b.nth && a.verb == b.verb);
    let requests = requests.collect::<Vec<_>>();
    let part = requests.len().div_ceil(CHAIN / 2);
    let order = (0..part).flat_map(|first| (first..requests.len()).step_by(part));
    let apart = order.flat_map(|request| requests[request].to_vec());
    apart.collect::<Vec<_>>().into_iter().rev().collect()
}

fn points(journal: &[Entry], all: bool) -> Vec<Point> {
    let mut counts = HashMap::new();
    let mut points = Vec::new();
    for entry in journal {
        let path = entry.uri.split('?').next().unwrap_or_default();
        let count = counts.entry((alone(entry.verb), path)).or_insert(0);
        *count += 1;
        let point = |moment| Point {
            verb: entry.verb,
            method: entry.method.clone(),
            path: path.into(),
            nth: *count,
            moment,
        };
        if !all && !is_change(entry, path) {
            continue;
        }
        points.push(point(Moment::Before));
        // The answer of a watch or a stream has no end to wait for.
        if !matches!(entry.verb, Verb::Watch | Verb::Stream) {
            points.push(point(Moment::After));
        }
    }
    points
}

/// The reviews of rights are questions; a sign of life in the Lease comes by the clock, and only to
/// runs that last.
fn is_change(entry: &Entry, path: &str) -> bool {
    let review = path.starts_with("/apis/authorization.k8s.io/");
    let sign = entry.method == "PATCH" && path.ends_with("/leases/ambikiali");
    matches!(entry.verb, Verb::Write | Verb::Delete) && !review && !sign
}

fn alone(verb: Verb) -> &'static [Verb] {
    match verb {
        Verb::Read => Verb::READS,
        Verb::Watch => Verb::WATCHES,
        Verb::Write => Verb::WRITES,
        Verb::Delete => Verb::DELETES,
        Verb::Stream => Verb::STREAMS,
    }
}
