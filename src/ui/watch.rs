//! The lines of `--watch`.

use std::time::Duration;

use k8s_openapi::jiff::{Timestamp, Unit};

use super::aside::remark;
use super::conclude::print;
use super::report::{BAD, GOOD};
use crate::out::{self, Form, Text};
use crate::result::{Changed, Ended};

/// The result of the first look, and how to end.
pub fn first_look(ended: &Ended, every: Duration) {
    if let Ended::Done(result) = ended {
        print(result);
    }
    remark(&format!(
        "watching every {} s; Ctrl-C ends",
        every.as_secs()
    ));
}

/// A line on stdout for a change: the time, the place, what was there and what is now.
pub fn changed(change: &Changed) {
    if out::manner().form == Form::Jsonl {
        return out::event(change);
    }
    let now = Timestamp::now().round(Unit::Second);
    let now = now.map(|now| now.to_string()).unwrap_or_default();
    let object = change.object.as_ref().map(|object| format!("  {object}"));
    let style = if change.good { GOOD } else { BAD };
    let place = format!("{now}  {:<12}  {:<18}  ", change.cluster, change.part);
    let text = Text::from(place)
        .plain(change.was.unwrap_or("-"))
        .plain(" -> ")
        .styled(style, change.is.unwrap_or("-"))
        .plain(object.unwrap_or_default());
    out::result(match change.message.is_empty() {
        true => text,
        false => text.plain(": ").lines(&change.message),
    });
}
