//! A plan as text.

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::report::{BAD, DIM, GOOD};
use crate::guide::Step;
use crate::k8s::change::{Change, Field, What};
use crate::out;
use crate::out::Text;
use crate::result::PlanResult;

const CHANGED: Style = AnsiColor::Yellow.on_default();
/// How many characters of a value are shown.
const LONGEST: usize = 160;

/// The changes in each cluster. Unchanged objects are only counted.
pub fn planned(result: &PlanResult) {
    let Some(changes) = &result.changes else {
        return;
    };
    let shown = changes.iter().filter(|one| one.change.what != What::Keep);
    let shown = shown.collect::<Vec<_>>();
    for of_one in shown.chunk_by(|a, b| a.cluster == b.cluster) {
        say!("{}", of_one[0].cluster);
        of_one.iter().for_each(|one| show(&one.change));
    }
    let all = || changes.iter().map(|one| one.change.what);
    let count = |what| all().filter(|one| *one == what).count();
    let counts = [
        (What::Create, "to create"),
        (What::Change, "to change"),
        (What::Replace, "to replace"),
        (What::Delete, "to delete"),
        (What::Reuse, "reused"),
        (What::Keep, "unchanged"),
    ];
    let counts = counts.map(|(what, word)| (count(what), word));
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, word)| format!("{count} {word}"));
    let counts = counts.collect::<Vec<_>>().join(", ");
    say!("Plan: {counts}; nothing was written");
}

fn show(change: &Change) {
    let style = match change.what {
        What::Create => GOOD,
        What::Change | What::Replace => CHANGED,
        What::Delete => BAD,
        What::Hold | What::Reuse | What::Keep => DIM,
    };
    let (word, step, width) = (change.what.word(), change.step, Step::WIDTH);
    let object = &change.object;
    let text = Text::from("  ").styled(style, format!("{word:<7}"));
    out::result(text.plain(format!("  {step:<width$}  {object}")));
    change.fields.iter().for_each(field);
}

fn field(field: &Field) {
    let path = &field.path;
    match (&field.before, &field.after) {
        _ if field.secret => say!("             {path}: (not shown)"),
        (None, None) => say!("             {path}"),
        (Some(Value::String(before)), Some(Value::String(after))) if before.contains('\n') => {
            say!("             {path}:");
            lines(before, after);
        }
        (before, after) => {
            let (before, after) = (brief(before.as_ref()), brief(after.as_ref()));
            say!("             {path}: {before} -> {after}");
        }
    }
}

fn lines<'a>(before: &'a str, after: &'a str) {
    // A carriage return does not end a line here: the text after it would overwrite the line.
    let split = |text: &'a str| text.split_inclusive('\n').collect::<Vec<_>>();
    let (before, after) = (split(before), split(after));
    for change in TextDiff::from_slices(&before, &after).iter_all_changes() {
        let (style, sign) = match change.tag() {
            ChangeTag::Equal => continue,
            ChangeTag::Delete => (BAD, '-'),
            ChangeTag::Insert => (GOOD, '+'),
        };
        let line = change.value().trim_end_matches('\n');
        let text = Text::from("               ");
        out::result(text.styled(style, format!("{sign} {line}")));
    }
}

fn brief(value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "(none)".into();
    };
    let text = value.to_string();
    match text.chars().count() > LONGEST {
        true => text.chars().take(LONGEST).chain("...".chars()).collect(),
        false => text,
    }
}
