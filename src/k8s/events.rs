//! The events of an object, in which controllers tell what keeps it from working.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;

use super::Scope;
use super::request::send;
use crate::mesh::pages;
use crate::progress::ObjectId;
use crate::visible;

/// What the last event of an object says; a warning counts more than what is normal. None if there is none, or if the
/// user may not read events.
pub async fn last(scope: &Scope<'_>, object: &ObjectId, uid: &str) -> Option<String> {
    let namespace = object.namespace.as_deref()?;
    let api = Api::<Event>::namespaced(scope.cluster.client.clone(), namespace);
    let params = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
    let events = ObjectId::new("events", namespace, &object.name);
    let found = send(scope, &events, || pages::list(&api, &params)).await;
    said(&found.ok()?)
}

fn said(events: &[Event]) -> Option<String> {
    let is_warning = |event: &Event| event.type_.as_deref() == Some("Warning");
    let last = events
        .iter()
        .max_by_key(|one| (is_warning(one), time(one)))?;
    let message = last.message.as_deref()?.trim();
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    (!message.is_empty()).then(|| visible::short(&message, visible::SAID).into_owned())
}

/// When it was last seen.
pub fn time(event: &Event) -> Option<Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let made = event.metadata.creation_timestamp.as_ref();
    let once = event.event_time.as_ref().map(|time| time.0);
    last.or(once).or(made.map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(kind: &str, at: &str, message: &str) -> Event {
        let all = json!({
            "type": kind, "lastTimestamp": at, "message": message, "metadata": {}, "involvedObject": {},
        });
        serde_json::from_value(all).expect("an event")
    }

    #[test]
    fn a_warning_says_more_than_a_later_event_and_is_one_line() {
        let events = [
            event("Warning", "2026-01-01T00:00:01Z", "old"),
            event("Warning", "2026-01-01T00:00:02Z", " quota\n exceeded "),
            event("Normal", "2026-01-01T00:00:03Z", "waiting"),
        ];
        assert_eq!(said(&events).as_deref(), Some("quota exceeded"));
        assert_eq!(said(&events[2..]).as_deref(), Some("waiting"));
        assert_eq!(said(&[event("Normal", "2026-01-01T00:00:03Z", " ")]), None);
        let long = event("Normal", "2026-01-01T00:00:03Z", &"x".repeat(1 << 16));
        let said = said(&[long]).expect("a message");
        assert_eq!(said.chars().count(), visible::SAID + 1);
    }
}
