//! The terminal. Progress goes to stderr: a line when something changes, and on a terminal a live
//! line for each piece of work besides. Results go to stdout. Nothing else prints.

/// A line of the result, for people: nothing when it is a document that was asked for.
macro_rules! say {
    ($($words:tt)*) => {
        if $crate::ui::is_text() {
            anstream::println!($($words)*);
        }
    };
}

mod check;
mod live;
mod plan;
mod report;
mod version;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

pub use check::{allowed, checked, clusters, codes, explained};
pub use plan::planned;
pub use report::{
    address, cleaned, error, installed, interrupted, left_out, note, put_off, rendered, statuses,
    verified,
};
pub use version::{images, installed_versions, text, version};

use crate::guide::Step;
use crate::manifests;
use crate::mesh::ClusterName;
use crate::progress::{Event, Message, ObjectId};

/// A wait is only worth a line when it lasts.
const PATIENT: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(20);

/// For programs: stdout holds one document and nothing else.
static FORM: OnceLock<Form> = OnceLock::new();

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Json,
    Yaml,
}

/// Before the first word.
pub fn take_form(form: Form) {
    let _ = FORM.set(form);
}

fn is_text() -> bool {
    FORM.get().is_none_or(|form| *form == Form::Text)
}

/// The whole result, when a program asked for it.
pub fn document(document: &Value) {
    let text = match FORM.get() {
        Some(Form::Json) => serde_json::to_string_pretty(document).ok(),
        Some(Form::Yaml) => manifests::to_yaml(document).ok(),
        _ => return,
    };
    let text = text.unwrap_or_default();
    anstream::println!("{}", text.trim_end());
}

/// What one step waits for now: often several objects side by side.
struct Pending {
    since: Instant,
    /// What was said last, last.
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
        self.objects.retain(|(other, _)| *other != object);
        self.objects.push((object, reason));
        self.printed = None;
    }

    /// What is there no longer stands for those that are not.
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
    let started = Instant::now();
    let mut live = live::Live::new(std::io::stderr().is_terminal());
    let mut pending: BTreeMap<(ClusterName, Step), Pending> = BTreeMap::new();
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        let message = tokio::select! {
            message = events.recv() => message,
            _ = tick.tick() => {
                for ((cluster, step), wait) in &mut pending {
                    overdue(&live, started, cluster, *step, wait);
                }
                continue;
            }
        };
        let Some(Message {
            step,
            cluster,
            event,
        }) = message
        else {
            return;
        };
        let key = (cluster.clone(), step);
        match event {
            Event::Started => live.started(&cluster, step),
            Event::Waiting { object, reason } => {
                let wait = pending.entry(key).or_insert_with(Pending::begin);
                wait.says(object, reason);
                live.waiting(&cluster, step, &wait.text().unwrap_or_default());
            }
            Event::Arrived(object) => {
                if let Some(wait) = pending.get_mut(&key) {
                    wait.arrived(&object);
                    live.waiting(&cluster, step, &wait.text().unwrap_or_default());
                }
            }
            Event::Note(text) => live.line(&line(started, &cluster, step, "note", &text)),
            Event::Done(summary) => {
                pending.remove(&key);
                live.ended(&cluster, step);
                live.line(&line(started, &cluster, step, "done", &summary));
            }
            Event::Failed => {
                pending.remove(&key);
                live.ended(&cluster, step);
                live.line(&line(started, &cluster, step, "failed", ""));
            }
        }
    }
}

/// Only what is of interest whatever comes of the steps.
pub async fn show_notes(mut events: UnboundedReceiver<Message>) {
    while let Some(message) = events.recv().await {
        if let Event::Note(text) = message.event {
            report::note(&format!("{}: {}: {text}", message.cluster, message.step));
        }
    }
}

/// Prints a wait once it lasts, and again now and then.
fn overdue(
    live: &live::Live,
    started: Instant,
    cluster: &ClusterName,
    step: Step,
    wait: &mut Pending,
) {
    let due = match wait.printed {
        None => wait.since.elapsed() >= PATIENT,
        Some(at) => at.elapsed() >= HEARTBEAT,
    };
    // On a terminal the live line says it already.
    if let Some(text) = wait.text()
        && due
        && !live.is_on()
    {
        let state = format!("waiting {}s", wait.since.elapsed().as_secs());
        live.line(&line(started, cluster, step, &state, &text));
        wait.printed = Some(Instant::now());
    }
}

fn line(started: Instant, cluster: &ClusterName, step: Step, state: &str, text: &str) -> String {
    let seconds = started.elapsed().as_secs();
    let width = Step::WIDTH;
    let line = format!(
        "{:02}:{:02}  {cluster:<12}  {step:<width$}  {state:<7}  {text}",
        seconds / 60,
        seconds % 60
    );
    line.trim_end().to_string()
}
