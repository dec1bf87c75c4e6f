//! The moments at which a command can be killed: before and after each of its requests, as recorded in the journal of
//! an undisturbed run.

use std::collections::HashMap;
use std::fmt;

use ambikiali_sandbox::fault::{Action, Entry, Fault, Gate, Proxy, Verb, When};

use crate::answers::behind::Behind;
use crate::support::output;

/// How many consecutive kills, before a command is allowed to complete.
pub const CHAIN: usize = 12;

/// Identifies a request by its content and not by its time, because concurrent requests come in a different order in
/// each run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    verb: Verb,
    method: String,
    path: String,
    /// Index among the requests with this verb and path.
    nth: usize,
    moment: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// The request has not reached the server.
    Before,
    /// The server has stored it but not responded.
    After,
}

impl Point {
    pub fn is_before(&self) -> bool {
        self.moment == Moment::Before
    }

    /// Runs a command and kills it here. Returns false if it never came here, and succeeded.
    pub async fn kill(&self, behind: &Behind<'_>, proxy: &Proxy, arguments: &[&str]) -> bool {
        let gate = self.set(proxy);
        let mut command = behind.begin(arguments);
        let killed = tokio::select! {
            () = gate.opened() => {
                command.kill().await.expect("it still runs");
                true
            }
            _ = command.wait() => {
                output(command).await.succeeded();
                false
            }
        };
        behind.heal();
        killed
    }

    /// Holds this request in the next run. The gate opens when the request arrives.
    fn set(&self, proxy: &Proxy) -> Gate {
        let gate = Gate::closed();
        let held = gate.clone();
        proxy.add(Fault {
            verbs: alone(self.verb),
            // Leaked on purpose: there are only a few hundred.
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

/// The points of one command that are still to be tried.
#[derive(Clone, Default)]
pub struct Points {
    all: Vec<Point>,
    /// In reverse order: the next point is the last.
    waiting: Vec<Point>,
    tried: usize,
    missed: usize,
}

impl Points {
    /// Returns both moments of each request, or only of each write. Between two writes nothing changes, so a kill there
    /// finds the same state.
    /// Only those to these paths, if there are any.
    pub fn of(journal: &[Entry], all: bool, paths: &[&str]) -> Points {
        let mut all = points(journal, all);
        all.retain(|point| paths.is_empty() || paths.iter().any(|path| point.path.contains(path)));
        // Fewer points would not be a sweep.
        let least = if paths.is_empty() { 30 } else { 1 };
        assert!(all.len() > least, "{} points", all.len());
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

    /// Puts a point back as the first of a chain.
    pub fn again(&mut self, point: Point) {
        self.waiting.push(point);
    }

    pub fn tried(&mut self) {
        self.tried += 1;
    }

    /// Drops a point whose request never came, because it depends on timing.
    pub fn missed(&mut self) {
        self.missed += 1;
    }
}

/// Returns both moments of each write to a path, or of every request.
pub fn at(journal: &[Entry], path: Option<&str>) -> Vec<Point> {
    let mut points = points(journal, path.is_none());
    points.retain(|point| path.is_none_or(|path| point.path.contains(path)));
    points
}

/// Returns both moments of each write.
pub fn writes(journal: &[Entry]) -> Vec<Point> {
    points(journal, false)
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

/// Orders the points so that consecutive ones are far apart. In a chain of kills, a later point must not have been
/// passed already. The next point is the last.
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
        // The response of a watch or stream never ends.
        if !matches!(entry.verb, Verb::Watch | Verb::Stream) {
            points.push(point(Moment::After));
        }
    }
    points
}

/// Whether a request changes an object. Access reviews only read, and renewals of the Lease depend on the clock.
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
