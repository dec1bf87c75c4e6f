//! The terminal. Progress goes to stderr: a line for each change, and on a terminal also a live line for each piece of
//! work. Results go to stdout. Nothing else prints.

/// A line of the result in one style.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::out::result(format!($($words)*))
    };
}

mod aside;
mod bundle;
mod check;
mod cleanup;
mod conclude;
mod doctor;
mod estimate;
mod grid;
mod line;
mod live;
mod plan;
mod report;
mod rotate;
mod verify;
mod version;
mod watch;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

pub use aside::{error, put_off, refused, remark, request};
pub use check::{clusters, findings, given};
pub use conclude::conclude;
pub use report::{address, interrupted, pages, reports, taking_back};
pub use version::version;
pub use watch::{changed, first_look};

use self::line::Line;
use self::live::Live;
use crate::mesh::ClusterName;
use crate::out::{self, Form};
use crate::progress::{Event, Hop, Message, ObjectId, Part, Verdict};
use crate::result::{self, Place};

/// A wait gets a line only after this time.
const PATIENT: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(20);

/// The objects that one step waits for.
struct Pending {
    since: Instant,
    /// Each object with its last reason, the newest last.
    objects: Vec<(ObjectId, String)>,
    printed: Option<Instant>,
}

impl Pending {
    fn begin() -> Pending {
        Pending {
            since: Instant::now(),
            objects: Vec::new(),
            printed: None,
        }
    }

    fn says(&mut self, object: ObjectId, reason: String) {
        let was = self.text();
        self.objects.retain(|(other, _)| *other != object);
        self.objects.push((object, reason));
        if self.text() != was {
            self.printed = None;
        }
    }

    /// Removes an object that has arrived.
    fn arrived(&mut self, object: &ObjectId) {
        let was = self.text();
        self.objects.retain(|(other, _)| other != object);
        if self.text() != was {
            self.printed = None;
        }
    }

    fn text(&self) -> Option<String> {
        let (object, reason) = self.objects.last()?;
        Some(format!("{object}: {reason}"))
    }
}

/// Shows events until the last sender is gone.
pub async fn show(mut events: UnboundedReceiver<Message>) {
    let manner = out::manner();
    let mut screen = Screen::new(!manner.quiet && out::is_live());
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        let message = tokio::select! {
            message = events.recv() => message,
            _ = tick.tick() => {
                screen.overdue();
                continue;
            }
        };
        match message {
            None => return,
            Some(message) if manner.form == Form::Jsonl => {
                out::event(&result::Event::of(&message, screen.started.elapsed()));
            }
            Some(_) if manner.quiet => {}
            Some(message) => screen.take(message),
        }
    }
}

/// Shows only notes.
pub async fn show_notes(mut events: UnboundedReceiver<Message>) {
    let started = Instant::now();
    while let Some(message) = events.recv().await {
        let Event::Note(text) = &message.event else {
            continue;
        };
        if out::manner().form == Form::Jsonl {
            out::event(&result::Event::of(&message, started.elapsed()));
        } else {
            out::note(&format!("{}: {}: {text}", message.cluster, message.part));
        }
    }
}

/// The state of the terminal.
struct Screen {
    started: Instant,
    live: Live,
    pending: BTreeMap<(ClusterName, Part), Pending>,
}

impl Screen {
    fn new(live: bool) -> Screen {
        Screen {
            started: Instant::now(),
            live: Live::new(live),
            pending: BTreeMap::new(),
        }
    }

    fn take(&mut self, message: Message) {
        let Message {
            part,
            cluster,
            event,
        } = message;
        let key = (cluster.clone(), part);
        match event {
            Event::Started => self.live.started(&cluster, part),
            Event::Waiting { object, reason } => {
                let wait = self.pending.entry(key).or_insert_with(Pending::begin);
                wait.says(object, reason);
                let text = wait.text().unwrap_or_default();
                self.live.waiting(&cluster, part, &text);
            }
            Event::Arrived(object) => {
                if let Some(wait) = self.pending.get_mut(&key) {
                    wait.arrived(&object);
                    let text = wait.text().unwrap_or_default();
                    self.live.waiting(&cluster, part, &text);
                }
            }
            Event::Note(text) => self.line(&cluster, part, "note", &text),
            Event::Done(summary) => self.ended(key, "done", &summary),
            Event::Failed => self.ended(key, "failed", ""),
            Event::Found(verdict, text) => self.ended(key, verdict.word(), &text),
            Event::Ended => self.gone(&key),
            Event::Flow {
                to,
                verdict,
                place,
                text,
            } => self.flow(&cluster, &to, (verdict, place), &text),
        }
    }

    fn gone(&mut self, key: &(ClusterName, Part)) {
        self.pending.remove(key);
        self.live.ended(&key.0, key.1);
    }

    fn ended(&mut self, key: (ClusterName, Part), state: &str, text: &str) {
        self.gone(&key);
        self.line(&key.0, key.1, state, text);
    }

    /// A cell of the live table. Without a terminal, a line for each change.
    fn flow(
        &mut self,
        from: &ClusterName,
        to: &ClusterName,
        (verdict, place): (Option<Verdict>, Option<Place>),
        text: &str,
    ) {
        if self.live.is_on() {
            return self.live.flow(from, to, verdict, place);
        }
        let state = match verdict {
            Some(verdict) => verdict.word(),
            None if text.is_empty() => return,
            None => "seen",
        };
        let text = match text {
            "" => format!("to {to}"),
            text => format!("to {to}: {text}"),
        };
        self.line(from, Part::Hop(Hop::Flow), state, &text);
    }

    fn line(&self, cluster: &ClusterName, part: Part, state: &str, text: &str) {
        let line = Line {
            elapsed: self.started.elapsed(),
            cluster,
            part,
            state,
            waited: None,
            text,
        };
        line.print();
    }

    /// Prints each wait that lasts, and repeats it from time to time.
    fn overdue(&mut self) {
        // On a terminal, the live line shows it already.
        if self.live.is_on() {
            return;
        }
        for ((cluster, part), wait) in &mut self.pending {
            let due = match wait.printed {
                None => wait.since.elapsed() >= PATIENT,
                Some(at) => at.elapsed() >= HEARTBEAT,
            };
            let Some(text) = wait.text().filter(|_| due) else {
                continue;
            };
            let line = Line {
                elapsed: self.started.elapsed(),
                cluster,
                part: *part,
                state: "waiting",
                waited: Some(wait.since.elapsed()),
                text: &text,
            };
            line.print();
            wait.printed = Some(Instant::now());
        }
    }
}
