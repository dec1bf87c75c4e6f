//! Where all that is printed goes, in the manner that the user asked for: the result to stdout, all else
//! to stderr, and above the live lines while there are some.

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

/// Of the result, on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    #[default]
    Text,
    Json,
    Yaml,
    /// Events, and the document as their last line.
    Jsonl,
}

/// Of what is said besides, on stderr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Log {
    #[default]
    Text,
    /// An object a line.
    Json,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    pub form: Form,
    pub log: Log,
    /// Nothing of what is only of interest while it runs.
    pub quiet: bool,
    /// No character beyond ASCII.
    pub ascii: bool,
}

static MANNER: OnceLock<Manner> = OnceLock::new();
/// The live lines, while there are some.
static TABLE: Mutex<Option<MultiProgress>> = Mutex::new(None);
/// Whether the document is printed: events of tasks that an interrupt left behind must not follow it.
static ENDED: Mutex<bool> = Mutex::new(false);

/// Before the first word.
pub fn behave(manner: Manner) {
    let _ = MANNER.set(manner);
}

pub fn manner() -> Manner {
    MANNER.get().copied().unwrap_or_default()
}

/// Whether lines that change are of use: to somebody who looks at them.
pub fn is_live() -> bool {
    let Manner { form, log, .. } = manner();
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    form != Form::Jsonl && log == Log::Text && !dumb && std::io::stderr().is_terminal()
}

/// All lines to stderr go above this one from now on.
pub fn put_above(table: Option<MultiProgress>) {
    *lock(&TABLE) = table;
}

/// What is still on its way to an end is left behind; its line must not stay.
fn end_table() {
    if let Some(table) = lock(&TABLE).take() {
        let _ = table.clear();
        table.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// A line of the result, for people: nothing when it is a document that was asked for.
pub fn result(text: impl Into<Text>) {
    if manner().form == Form::Text {
        print::line(&text.into().sent(manner().ascii));
    }
}

/// A result that is a program itself, and made by this one.
pub fn script(script: &str) {
    if manner().form == Form::Text {
        print::line(script);
    }
}

/// The whole result, when a program asked for it; nothing comes after.
pub fn document(document: &impl Serialize) {
    end_table();
    let document = &value(document);
    let Manner { form, ascii, .. } = manner();
    let mut ended = lock(&ENDED);
    *ended = true;
    let text = match form {
        Form::Text => return,
        Form::Json => visible::in_json(&format!("{document:#}"), ascii),
        Form::Jsonl => in_one_line(document),
        Form::Yaml => match manifests::to_yaml(document) {
            // JSON is YAML too, and has a way to write them.
            Ok(text) if ascii && !text.is_ascii() => {
                visible::in_json(&format!("{document:#}"), ascii)
            }
            text => text.unwrap_or_default(),
        },
    };
    print::line(text.trim_end());
}

/// A line of the stream before it.
pub fn event(event: &impl Serialize) {
    let event = value(event);
    let ended = lock(&ENDED);
    if !*ended {
        print::line(&in_one_line(&event));
    }
}

/// A line for a program that reads stderr.
#[derive(Serialize)]
struct Logged<'a, T> {
    time: String,
    level: &'a str,
    #[serde(flatten)]
    fields: T,
}

/// A line beside the result, or its `fields` for a program that reads them.
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

/// A line of plain words, as a program reads it.
#[derive(Serialize)]
pub struct Said<'a> {
    pub message: &'a str,
}

/// One line to people, beside the result.
pub fn note(text: &str) {
    tell("info", &text.into(), Said { message: text });
}

/// What cannot be put so is a bug, and told as one.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).expect("only text is a key")
}

fn in_one_line(value: &Value) -> String {
    visible::in_json(&value.to_string(), manner().ascii)
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
