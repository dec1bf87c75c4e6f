//! What happens, as the lines of `-o jsonl` before the last one.

use std::time::Duration;

use serde_json::{Value, json};

use super::API_VERSION;
use crate::progress::{Event, Message, ObjectId, Part};

pub fn event(message: &Message, elapsed: Duration) -> Value {
    let (name, more) = match &message.event {
        Event::Started => ("started", json!({})),
        Event::Waiting { object, reason } => ("waiting", waiting(object, reason)),
        Event::Arrived(object) => ("arrived", json!({"object": object.to_string()})),
        Event::Note(text) => ("note", json!({"message": text})),
        Event::Done(text) => ("done", json!({"message": text})),
        Event::Failed => ("failed", json!({})),
        Event::Found(verdict, text) => {
            ("found", json!({"verdict": verdict.word(), "message": text}))
        }
        Event::Ended => ("ended", json!({})),
    };
    let mut event = json!({
        "apiVersion": API_VERSION, "kind": "Event", "event": name,
        "elapsedMs": elapsed.as_millis() as u64, "cluster": message.cluster,
    });
    event[what(message.part)] = json!(message.part.title());
    if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
        event.extend(more);
    }
    event
}

/// The field that names it.
pub fn what(part: Part) -> &'static str {
    match part {
        Part::Step(_) => "step",
        Part::Hop(_) => "hop",
    }
}

fn waiting(object: &ObjectId, reason: &str) -> Value {
    json!({"object": object.to_string(), "reason": reason})
}
