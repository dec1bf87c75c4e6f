//! What a ztunnel knows about a connection, and what it counts. What it knows depends on its version, its configuration
//! and those of the other end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::labels::{Edge, End, Flags, Reporter};
use crate::standin::sample::{self, Ends, Failure};

/// The first version that sends its identity to the other end and requests that of the other end.
const BAGGAGE: (u32, u32) = (1, 29);
/// How long a connection between two ztunnels stays in the pool.
const POOLED: Duration = Duration::from_secs(300);

/// A running ztunnel. Clones are handles to the same one.
#[derive(Clone)]
pub struct Ztunnel {
    inner: Arc<Inner>,
}

struct Inner {
    cluster: String,
    /// An unknown version (None) counts as new.
    version: Option<(u32, u32)>,
    /// The value of ENABLE_RESPONSE_BAGGAGE.
    response_baggage: bool,
    counts: Mutex<Counts>,
}

/// The counters since the start.
#[derive(Default)]
pub struct Counts {
    pub edges: BTreeMap<Edge, Counters>,
    /// The open connections of pods. None before the first one.
    pub sending: Option<u64>,
    /// When the ztunnels of each cluster last used a connection to this one.
    received: BTreeMap<String, Instant>,
    /// How many names each canonical service looked up, each with an A and an AAAA query.
    pub names: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Counters {
    pub opened: u64,
    pub closed: u64,
    pub failed: u64,
    pub received: u64,
    pub sent: u64,
}

/// A connection as seen by one of its ends.
pub struct Reported {
    ztunnel: Ztunnel,
    edge: Edge,
    from: String,
    failed: Option<Flags>,
}

impl Ztunnel {
    pub fn new(cluster: &str, version: Option<(u32, u32)>, response_baggage: bool) -> Ztunnel {
        let inner = Inner {
            cluster: cluster.to_owned(),
            version,
            response_baggage,
            counts: Mutex::default(),
        };
        Ztunnel {
            inner: Arc::new(inner),
        }
    }

    pub fn cluster(&self) -> &str {
        &self.inner.cluster
    }

    pub fn is(&self, other: &Ztunnel) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Whether failed connections and open sockets are counted, and baggage is returned.
    pub fn is_new(&self) -> bool {
        self.inner.version.is_none_or(|version| version >= BAGGAGE)
    }

    pub fn counts(&self) -> MutexGuard<'_, Counts> {
        self.inner.counts.lock().unwrap_or_else(|e| e.into_inner())
    }

    pub fn asked_for_a_name(&self, service: &str) {
        *self.counts().names.entry(service.to_owned()).or_default() += 1;
    }

    fn answers_baggage(&self) -> bool {
        self.is_new() && self.inner.response_baggage
    }
}

impl Counts {
    /// The connections from other ztunnels, in use or pooled. None before the first one.
    pub fn receiving(&self) -> Option<usize> {
        let kept = self.received.values().filter(|at| at.elapsed() < POOLED);
        (!self.received.is_empty()).then(|| kept.count())
    }
}

/// Returns the report of each end of a connection. `receiver` is None if there is no ztunnel.
pub fn reports(
    sender: &Ztunnel,
    receiver: Option<&Ztunnel>,
    ends: &Ends,
    failure: Option<Failure>,
) -> Vec<Reported> {
    let from = sender.cluster().to_owned();
    let at_source = Reported {
        ztunnel: sender.clone(),
        edge: at_source(sender, receiver, ends, failure.is_some()),
        from: from.clone(),
        failed: failure.map(|_| Flags::Connect),
    };
    let at_destination = receiver.filter(|_| failure != Some(Failure::Connect));
    let at_destination = at_destination.map(|receiver| Reported {
        ztunnel: receiver.clone(),
        edge: at_destination_of(sender, receiver, ends),
        from,
        failed: failure.map(|_| Flags::Deny),
    });
    std::iter::once(at_source).chain(at_destination).collect()
}

/// Behind a gateway, the destination is what the response baggage says. Without an answer, and before 1.29, it is the
/// gateway itself.
fn at_source(sender: &Ztunnel, receiver: Option<&Ztunnel>, ends: &Ends, failed: bool) -> Edge {
    let answerer = |receiver: &Ztunnel| End::of(receiver.cluster(), &ends.answerer);
    let destination = match receiver {
        Some(receiver) if receiver.cluster() == sender.cluster() => answerer(receiver),
        Some(receiver) if sender.is_new() && !failed => match receiver.answers_baggage() {
            true => answerer(receiver).by_baggage(),
            false => answerer(receiver).hidden(),
        },
        _ => End::gateway(),
    };
    Edge {
        reporter: Reporter::Source,
        source: End::of(sender.cluster(), &ends.sender),
        service: ends.service.clone(),
        destination,
        flags: Flags::None,
    }
}

/// One switch controls both sending its own baggage and reading that of the sender. Versions before 1.29 do not have
/// this switch.
fn at_destination_of(sender: &Ztunnel, receiver: &Ztunnel, ends: &Ends) -> Edge {
    let source = End::of(sender.cluster(), &ends.sender);
    let local = receiver.cluster() == sender.cluster();
    let source = match receiver.is_new() && !receiver.inner.response_baggage && !local {
        true => source.hidden(),
        false => source,
    };
    Edge {
        reporter: Reporter::Destination,
        source,
        service: ends.service.clone(),
        destination: End::of(receiver.cluster(), &ends.answerer),
        flags: Flags::None,
    }
}

impl Reported {
    /// The cluster of the ztunnel that reports.
    pub fn cluster(&self) -> &str {
        self.ztunnel.cluster()
    }

    pub fn end(&self) -> sample::End {
        match self.edge.reporter {
            Reporter::Source => sample::End::Source,
            Reporter::Destination => sample::End::Destination,
        }
    }

    /// A failed connection is opened like any other. It is closed with the flags of its failure.
    pub fn opened(&self) {
        let mut counts = self.ztunnel.counts();
        counts.edges.entry(self.edge.clone()).or_default().opened += 1;
        match self.edge.reporter {
            Reporter::Source => *counts.sending.get_or_insert(0) += 1,
            Reporter::Destination => {
                counts.received.insert(self.from.clone(), Instant::now());
            }
        }
    }

    pub fn transferred(&self, received: u64, sent: u64) {
        let mut counts = self.ztunnel.counts();
        let counters = counts.edges.entry(self.edge.clone()).or_default();
        counters.received += received;
        counters.sent += sent;
    }

    pub fn closed(&self) {
        let mut counts = self.ztunnel.counts();
        let mut edge = self.edge.clone();
        edge.flags = self.failed.unwrap_or(Flags::None);
        let counters = counts.edges.entry(edge).or_default();
        counters.closed += 1;
        counters.failed += u64::from(self.failed.is_some());
        if let (Reporter::Source, Some(open)) = (self.edge.reporter, &mut counts.sending) {
            *open = open.saturating_sub(1);
        }
    }
}
