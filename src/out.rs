//! Everything that is printed, in the requested format: the result to stdout, everything else to stderr, above the live
//! lines if there are any.

mod print;
mod text;

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::manifests;
use crate::visible;

pub use print::{broken, ended};
pub use text::Text;

/// Format of the result on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Text,
    Json,
    Yaml,
    /// Events as JSON lines, and the document as the last line.
    Jsonl,
    /// A report for an issue, of a command that has one.
    Markdown,
}

/// Format of messages on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Log {
    #[default]
    Text,
    /// A JSON object for each line.
    Json,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    pub form: Form,
    pub log: Log,
    /// Hide messages that only matter while the command runs.
    pub quiet: bool,
    /// Only ASCII characters.
    pub ascii: bool,
}

static MANNER: OnceLock<Manner> = OnceLock::new();
/// The live lines, if there are any.
static TABLE: Mutex<Option<MultiProgress>> = Mutex::new(None);
/// Whether the document is printed: events of tasks that an interrupt left behind must not follow it.
static ENDED: Mutex<bool> = Mutex::new(false);

/// Must be called before anything is printed.
pub fn behave(manner: Manner) {
    let _ = MANNER.set(manner);
}

pub fn manner() -> Manner {
    MANNER.get().copied().unwrap_or_default()
}

/// Whether live lines are shown.
pub fn is_live() -> bool {
    let Manner { form, log, .. } = manner();
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    form != Form::Jsonl && log == Log::Text && !dumb && std::io::stderr().is_terminal()
}

/// From now on, lines to stderr are printed above this live line.
pub fn put_above(table: Option<MultiProgress>) {
    *lock(&TABLE) = table;
}

/// Removes the live lines of work that has not ended.
fn end_table() {
    if let Some(table) = lock(&TABLE).take() {
        let _ = table.clear();
        table.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// A line of the result as text; nothing if the user asked for a document.
pub fn result(text: impl Into<Text>) {
    if manner().form == Form::Text {
        print::line(&text.into().sent(manner().ascii));
    }
}

/// A line of the report in Markdown.
pub fn report(text: impl Into<Text>) {
    if manner().form == Form::Markdown {
        print::line(&text.into().sent(manner().ascii));
    }
}

/// A generated script, which is printed unchanged.
pub fn script(script: &str) {
    if manner().form == Form::Text {
        print::line(script);
    }
}

/// The result as a document, if the user asked for one. Nothing is printed after it.
pub fn document(document: &impl Serialize) {
    end_table();
    let document = &value(document);
    let Manner { form, ascii, .. } = manner();
    let mut ended = lock(&ENDED);
    *ended = true;
    let text = match form {
        Form::Text | Form::Markdown => return,
        Form::Json => json(document),
        Form::Jsonl => in_one_line(document),
        Form::Yaml => match manifests::to_yaml(document) {
            // JSON is valid YAML and can express them.
            Ok(text) if ascii && !text.is_ascii() => json(document),
            text => text.unwrap_or_default(),
        },
    };
    print::line(text.trim_end());
}

/// A document as `-o json` prints it.
pub fn json(document: &impl Serialize) -> String {
    visible::in_json(&format!("{:#}", value(document)), manner().ascii)
}

/// An event before the document.
pub fn event(event: &impl Serialize) {
    let event = value(event);
    let ended = lock(&ENDED);
    if !*ended {
        print::line(&in_one_line(&event));
    }
}

/// A line of JSON on stderr.
#[derive(Serialize)]
struct Logged<'a, T> {
    time: String,
    level: &'a str,
    #[serde(flatten)]
    fields: T,
}

/// A line on stderr, or its `fields` as JSON.
pub fn tell(level: &str, text: &Text, fields: impl Serialize) {
    let text = match manner().log {
        Log::Text => text.sent(manner().ascii),
        Log::Json => {
            let time = Timestamp::now().to_string();
            in_one_line(&value(&Logged {
                time,
                level,
                fields,
            }))
        }
    };
    let print = || print::aside(&text);
    let table = lock(&TABLE).clone();
    match table {
        Some(table) => table.suspend(print),
        None => print(),
    }
}

/// A text line as JSON.
#[derive(Serialize)]
pub struct Said<'a> {
    pub message: &'a str,
}

/// One text line on stderr.
pub fn note(text: &str) {
    tell("info", &text.into(), Said { message: text });
}

/// Serializes our own types. A failure is a bug and reported as one.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).expect("only text is a key")
}

fn in_one_line(value: &Value) -> String {
    visible::in_json(&value.to_string(), manner().ascii)
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
