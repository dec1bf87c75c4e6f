//! What happens, as values: steps send events, `ui` alone shows them.

mod hop;

use std::fmt;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::guide::Step;
use crate::mesh::ClusterName;

pub use hop::{Hop, Verdict};

/// An object as people name it: `Deployment kiali/prometheus`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
}

impl ObjectId {
    pub fn new(kind: &str, namespace: &str, name: &str) -> ObjectId {
        ObjectId {
            kind: kind.into(),
            namespace: Some(namespace.into()),
            name: name.into(),
        }
    }

    pub fn cluster_wide(kind: &str, name: &str) -> ObjectId {
        ObjectId {
            kind: kind.into(),
            namespace: None,
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// What is under way: a step that changes something, or a hop that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Step(Step),
    Hop(Hop),
}

impl Part {
    pub fn title(self) -> &'static str {
        match self {
            Part::Step(step) => step.title(),
            Part::Hop(hop) => hop.title(),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

#[derive(Clone, Debug)]
pub enum Event {
    Started,
    /// What is waited for, and why it is not there yet.
    Waiting {
        object: ObjectId,
        reason: String,
    },
    /// It is as it was waited for; the step may still wait for another.
    Arrived(ObjectId),
    /// Of lasting interest, whatever comes of the step.
    Note(String),
    Done(String),
    Failed,
    /// How a hop is: what was seen, or why not.
    Found(Verdict, String),
    /// Nothing more comes of it.
    Ended,
}

#[derive(Clone, Debug)]
pub struct Message {
    pub part: Part,
    pub cluster: ClusterName,
    pub event: Event,
}

/// The sending end, scoped to one step on one cluster.
#[derive(Clone)]
pub struct Progress {
    sender: UnboundedSender<Message>,
    step: Step,
    cluster: ClusterName,
}

/// A sender that is not scoped yet, and the end that `ui` reads.
pub fn channel() -> (Events, UnboundedReceiver<Message>) {
    let (sender, receiver) = unbounded_channel();
    (Events(sender), receiver)
}

#[derive(Clone)]
pub struct Events(UnboundedSender<Message>);

impl Events {
    pub fn of(&self, step: Step, cluster: &ClusterName) -> Progress {
        Progress {
            sender: self.0.clone(),
            step,
            cluster: cluster.clone(),
        }
    }

    pub fn of_hop(&self, hop: Hop, cluster: &ClusterName) -> HopProgress {
        HopProgress {
            sender: self.0.clone(),
            hop,
            cluster: cluster.clone(),
        }
    }
}

/// The same of a hop on the way from or to one cluster.
#[derive(Clone)]
pub struct HopProgress {
    sender: UnboundedSender<Message>,
    hop: Hop,
    cluster: ClusterName,
}

impl Progress {
    pub fn step(&self) -> Step {
        self.step
    }

    pub fn started(&self) {
        self.send(Event::Started);
    }

    pub fn waiting(&self, object: &ObjectId, reason: &str) {
        self.send(Event::Waiting {
            object: object.clone(),
            reason: reason.into(),
        });
    }

    pub fn arrived(&self, object: &ObjectId) {
        self.send(Event::Arrived(object.clone()));
    }

    pub fn note(&self, text: impl Into<String>) {
        self.send(Event::Note(text.into()));
    }

    pub fn done(&self, summary: impl Into<String>) {
        self.send(Event::Done(summary.into()));
    }

    pub fn failed(&self) {
        self.send(Event::Failed);
    }

    fn send(&self, event: Event) {
        // A reader that is gone only means that nobody looks any more.
        let _ = self.sender.send(Message {
            part: Part::Step(self.step),
            cluster: self.cluster.clone(),
            event,
        });
    }
}

impl HopProgress {
    pub fn started(&self) {
        self.send(Event::Started);
    }

    pub fn waiting(&self, object: &ObjectId, reason: &str) {
        self.send(Event::Waiting {
            object: object.clone(),
            reason: reason.into(),
        });
    }

    pub fn found(&self, verdict: Verdict, text: &str) {
        self.send(Event::Found(verdict, text.into()));
    }

    pub fn ended(&self) {
        self.send(Event::Ended);
    }

    fn send(&self, event: Event) {
        // As above.
        let _ = self.sender.send(Message {
            part: Part::Hop(self.hop),
            cluster: self.cluster.clone(),
            event,
        });
    }
}
