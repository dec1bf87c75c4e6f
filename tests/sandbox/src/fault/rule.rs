//! Faults as data: which requests they match, which of those they apply to, and what they do.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::{Answer, Gate};

/// The kind of a request, as far as faults tell requests apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Get and list, and every dry run.
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
    /// Requests that a program can safely repeat.
    pub const PLAIN: &[Verb] = &[Verb::Read, Verb::Write, Verb::Delete];
    pub const READS: &[Verb] = &[Verb::Read];
    pub const WRITES: &[Verb] = &[Verb::Write];
    pub const DELETES: &[Verb] = &[Verb::Delete];
    pub const STREAMS: &[Verb] = &[Verb::Stream];
    pub const CHANGES: &[Verb] = &[Verb::Write, Verb::Delete];
    pub const WATCHES: &[Verb] = &[Verb::Watch];
}

/// A fault for matching requests.
#[derive(Clone, Debug)]
pub struct Fault {
    pub verbs: &'static [Verb],
    /// The end of the path, without the query. Matches any path if empty.
    pub path: &'static str,
    pub when: When,
    pub action: Action,
}

/// Which of the matching requests the fault applies to.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Always,
    /// The first requests, this many.
    First(usize),
    /// Only this request, counting from 1.
    Nth(usize),
    /// Every `nth` request, up to `times` times.
    Every {
        nth: usize,
        times: usize,
    },
    /// The first request of each method and path. Everything fails once and then succeeds.
    FirstOfEach,
    /// All requests within this time after the first.
    For(Duration),
    /// A percentage of the requests. The same seed and order of requests select the same ones.
    Percent {
        of_100: u8,
        seed: u64,
    },
}

/// What is done to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Answers without forwarding the request to the server.
    Answer(Answer),
    /// Forwards the request and replaces the answer.
    AnswerAfter(Answer),
    /// Closes the connection without an answer. The request does not reach the server.
    Drop,
    /// The server executes the request, and the connection is closed without an answer.
    DropAfter,
    Delay(Duration),
    /// Forwards the request once the gate is open.
    Hold(Gate),
    /// Never answers. The request does not reach the server.
    Silence,
    /// The server executes the request, and the program never gets an answer.
    SilenceAfter,
    /// Like `Silence`. The proxy opens the gate when the request arrives.
    Halt(Gate),
    /// Like `SilenceAfter`. The proxy opens the gate when the server has executed the request.
    HaltAfter(Gate),
    /// Rejects a bearer token with 401, like a proxy in front of the API server with its own tokens.
    UnknownToken,
    /// The clock of the server is ahead by this time.
    Ahead(Duration),
    /// Sends the head and half of the body, then closes the connection.
    CutBody,
    /// Ends the stream cleanly after this time.
    EndAfter(Duration),
    /// Sends the head of the answer, then neither data nor an end.
    HalfOpen,
    /// Answers 200 with an endless or huge body that is, or claims to be, JSON. The request does not reach the server.
    Flood(Flood),
}

/// A body in pieces, sent for as long as the client reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Flood {
    pub head: String,
    pub piece: String,
    /// How many pieces; endless with usize::MAX.
    pub times: usize,
    pub tail: String,
    /// Waits before each piece. Without a pause, pieces are sent as fast as possible.
    pub pause: Duration,
}

/// A fault with its state.
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

    /// The generator SplitMix64.
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
