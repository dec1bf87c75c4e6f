//! The events of the namespaces of Istio and Kiali, a line each.

use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::ListParams;

use super::Of;
use crate::bundle::archive::Keep;
use crate::bundle::{File, Found};
use crate::k8s::events::time;
use crate::k8s::request::send;
use crate::mesh::pages;
use crate::progress::ObjectId;

/// Limit for the lines of a file.
const MOST: usize = 5000;

pub async fn events(of: &Of<'_>, since: Duration) -> Found {
    let mut found = Found::default();
    for namespace in of.namespaces() {
        let api = Api::<Event>::namespaced(of.scope.cluster.client.clone(), namespace);
        let (object, all) = (
            ObjectId::new("events", namespace, "all"),
            ListParams::default(),
        );
        match send(of.scope, &object, || pages::list(&api, &all)).await {
            Ok(events) => {
                let start = SignedDuration::try_from(since).ok();
                let now = of.scope.cluster.server_time();
                let start = now
                    .zip(start)
                    .and_then(|(now, since)| now.checked_sub(since).ok());
                let text = lines(events, start);
                let name = of.name(&["events", namespace], ".txt");
                let name = name.filter(|_| !text.is_empty());
                found
                    .files
                    .extend(name.map(|name| File::text(name, &text, Keep::End)));
            }
            Err(error) => found.missing.extend(of.refused(&error)),
        }
    }
    found
}

/// The newest events, the oldest of them first.
fn lines(mut events: Vec<Event>, start: Option<Timestamp>) -> String {
    events.retain(|event| time(event) >= start);
    events.sort_by(|a, b| (time(a), &a.metadata.name).cmp(&(time(b), &b.metadata.name)));
    let newest = events.len().saturating_sub(MOST);
    events[newest..].iter().map(line).collect()
}

fn line(event: &Event) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let about = &event.involved_object;
    let time = time(event).map(|time| time.to_string());
    format!(
        "{} {} {} {}/{} x{}: {}\n",
        time.unwrap_or_default(),
        text(&event.type_),
        text(&event.reason),
        text(&about.kind),
        text(&about.name),
        event.count.unwrap_or(1),
        text(&event.message).trim(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines_by_their_time() {
        let event = |name: &str, at: &str| -> Event {
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": name, "namespace": "kiali"}, "type": "Warning", "reason": "Failed",
                "lastTimestamp": at, "count": 3, "message": "no image\n",
                "involvedObject": {"kind": "Pod", "name": name, "namespace": "kiali"},
            }))
            .unwrap()
        };
        let events = vec![
            event("late", "2026-01-01T00:00:02Z"),
            event("old", "2026-01-01T00:00:00Z"),
            event("early", "2026-01-01T00:00:01Z"),
        ];
        let start = "2026-01-01T00:00:01Z".parse().ok();
        assert_eq!(
            lines(events, start),
            "2026-01-01T00:00:01Z Warning Failed Pod/early x3: no image\n\
             2026-01-01T00:00:02Z Warning Failed Pod/late x3: no image\n"
        );
    }
}
