//! Faults as data: which requests, which of those, and what is done to them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::{Answer, Gate};

/// What a request is about, as far as faults differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Get and list, and whatever is only rehearsed.
    Read,
    Watch,
    /// Create, update and patch.
    Write,
    Delete,
    /// Exec and port-forward.
    Stream,
}

impl Verb {
    pub const ALL: &[Verb] = &[
        Verb::Read,
        Verb::Watch,
        Verb::Write,
        Verb::Delete,
        Verb::Stream,
    ];
    /// What a program can safely do twice.
    pub const PLAIN: &[Verb] = &[Verb::Read, Verb::Write, Verb::Delete];
    pub const READS: &[Verb] = &[Verb::Read];
    pub const WRITES: &[Verb] = &[Verb::Write];
    pub const DELETES: &[Verb] = &[Verb::Delete];
    pub const STREAMS: &[Verb] = &[Verb::Stream];
    pub const CHANGES: &[Verb] = &[Verb::Write, Verb::Delete];
    pub const WATCHES: &[Verb] = &[Verb::Watch];
}

/// One kind of trouble.
#[derive(Clone, Debug)]
pub struct Fault {
    pub verbs: &'static [Verb],
    /// What the path ends with, without the query; empty for any.
    pub path: &'static str,
    pub when: When,
    pub action: Action,
}

/// Which of the requests that match.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Always,
    /// The first so many.
    First(usize),
    /// This one alone; the first is 1.
    Nth(usize),
    /// Each `nth` one, so many times.
    Every {
        nth: usize,
        times: usize,
    },
    /// The first of each method and path, so that everything is hit and everything can succeed.
    FirstOfEach,
    /// For so long from the first one.
    For(Duration),
    /// So many in a hundred; the same seed and order of requests give the same ones.
    Percent {
        of_100: u8,
        seed: u64,
    },
}

/// What is done to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Never reaches the server.
    Answer(Answer),
    /// The server does it, and its answer is replaced.
    AnswerAfter(Answer),
    /// The connection ends without an answer; the server knows nothing.
    Drop,
    /// The server does it, and the connection ends without an answer.
    DropAfter,
    Delay(Duration),
    /// Reaches the server when the gate is opened.
    Hold(Gate),
    /// Accepted and never answered; the server knows nothing.
    Silence,
    /// The server does it, and nobody is told.
    SilenceAfter,
    /// As `Silence`; the proxy opens the gate when the request has come.
    Halt(Gate),
    /// As `SilenceAfter`; the proxy opens the gate when it is done.
    HaltAfter(Gate),
    /// Refused with 401 when it comes with a token, as by a front that has tokens of its own.
    UnknownToken,
    /// The answer's head, half of its body, and the end of the connection.
    CutBody,
    /// The stream ends in good order after so long.
    EndAfter(Duration),
    /// The answer's head, and then nothing: no data, no end.
    HalfOpen,
    /// Never reaches the server; 200 with JSON, or what claims to be some.
    Flood(Flood),
}

/// A body in pieces, for as long as somebody reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Flood {
    pub head: String,
    pub piece: String,
    /// How many; usize::MAX is no end.
    pub times: usize,
    pub tail: String,
    /// After each; without one they come as fast as they can.
    pub pause: Duration,
}

/// A fault and what it has seen.
pub(super) struct Armed {
    fault: Fault,
    count: usize,
    seen: HashSet<(String, String)>,
    since: Option<Instant>,
    random: u64,
}

impl Fault {
    pub(super) fn armed(self) -> Armed {
        let random = match self.when {
            When::Percent { seed, .. } => seed,
            _ => 0,
        };
        Armed {
            fault: self,
            count: 0,
            seen: HashSet::new(),
            since: None,
            random,
        }
    }
}

impl Armed {
    pub(super) fn due(&mut self, verb: Verb, method: &str, uri: &str) -> Option<Action> {
        let path = uri.split('?').next().unwrap_or_default();
        let matches = self.fault.verbs.contains(&verb) && path.ends_with(self.fault.path);
        (matches && self.is_time(method, path)).then(|| self.fault.action.clone())
    }

    fn is_time(&mut self, method: &str, path: &str) -> bool {
        self.count += 1;
        match self.fault.when {
            When::Always => true,
            When::First(n) => self.count <= n,
            When::Nth(n) => self.count == n,
            When::Every { nth, times } => {
                self.count.is_multiple_of(nth) && self.count <= nth * times
            }
            When::FirstOfEach => self.seen.insert((method.into(), path.into())),
            When::For(time) => self.since.get_or_insert_with(Instant::now).elapsed() < time,
            When::Percent { of_100, .. } => self.roll() % 100 < u64::from(of_100),
        }
    }

    /// SplitMix64.
    fn roll(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(when: When) -> Armed {
        let fault = Fault {
            verbs: Verb::READS,
            path: "/pods",
            when,
            action: Action::Drop,
        };
        fault.armed()
    }

    fn hits(fault: &mut Armed, uris: &[&str]) -> Vec<bool> {
        let due = |uri: &&str| fault.due(Verb::Read, "GET", uri).is_some();
        uris.iter().map(due).collect()
    }

    #[test]
    fn only_what_matches_counts() {
        let mut fault = armed(When::First(1));
        assert_eq!(fault.due(Verb::Write, "POST", "/pods"), None);
        let uris = ["/pods/a", "/pods?watch=0", "/pods"];
        assert_eq!(hits(&mut fault, &uris), [false, true, false]);
    }

    #[test]
    fn a_number_is_hit_once_or_in_turn() {
        let third = When::Every { nth: 3, times: 1 };
        let hit = [false, false, true, false, false, false];
        assert_eq!(hits(&mut armed(When::Nth(3)), &["/pods"; 6]), hit);
        assert_eq!(hits(&mut armed(third), &["/pods"; 6]), hit);
    }

    #[test]
    fn everything_is_hit_once() {
        let mut fault = armed(When::FirstOfEach);
        let uris = ["/a/pods", "/b/pods?limit=1", "/a/pods", "/b/pods"];
        assert_eq!(hits(&mut fault, &uris), [true, true, false, false]);
    }

    #[test]
    fn a_seed_gives_one_schedule_and_its_share() {
        let schedule = |seed| {
            hits(
                &mut armed(When::Percent { of_100: 20, seed }),
                &["/pods"; 500],
            )
        };
        assert_eq!(schedule(7), schedule(7));
        assert_ne!(schedule(7), schedule(8));
        let hit = schedule(7).into_iter().filter(|hit| *hit).count();
        assert!((70..130).contains(&hit), "{hit} of 500");
    }
}
