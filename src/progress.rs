//! Progress events: steps send them, and only `ui` shows them.

mod hop;

use std::fmt;

use serde::{Serialize, Serializer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::guide::Step;
use crate::mesh::ClusterName;

pub use hop::{Hop, Place, Verdict};

/// The identity of an object, shown as in `Deployment kiali/prometheus`.
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

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What an event is about: a step of an install, or a hop of `verify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
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
    /// An object that is waited for, and why it is not ready.
    Waiting {
        object: ObjectId,
        reason: String,
    },
    /// The object is ready; the step may still wait for another.
    Arrived(ObjectId),
    /// A message that is shown whatever the result of the step.
    Note(String),
    Done(String),
    Failed,
    /// The result of a hop.
    Found(Verdict, String),
    /// The end of a hop without a result.
    Ended,
    /// How far the flow from the cluster to another one is known.
    Flow {
        to: ClusterName,
        /// None while it is followed.
        verdict: Option<Verdict>,
        /// The hop that is waited for, or that failed.
        place: Option<Place>,
        /// The hops that hold, or what is wrong.
        text: String,
    },
}

#[derive(Clone, Debug)]
pub struct Message {
    pub part: Part,
    pub cluster: ClusterName,
    pub event: Event,
}

/// Sends the events of one step on one cluster.
#[derive(Clone)]
pub struct Progress {
    sender: UnboundedSender<Message>,
    step: Step,
    cluster: ClusterName,
}

/// Creates the sender, and the receiver that `ui` reads.
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

/// Sends the events of one hop of one cluster.
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
        // Without a receiver, events are dropped.
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

    pub fn flow(
        &self,
        to: &ClusterName,
        verdict: Option<Verdict>,
        place: Option<Place>,
        text: &str,
    ) {
        self.send(Event::Flow {
            to: to.clone(),
            verdict,
            place,
            text: text.into(),
        });
    }

    fn send(&self, event: Event) {
        // Without a receiver, events are dropped.
        let _ = self.sender.send(Message {
            part: Part::Hop(self.hop),
            cluster: self.cluster.clone(),
            event,
        });
    }
}
