//! Events while a command runs: the lines of `-o jsonl` before the last one.

use std::time::Duration;

use serde::Serialize;

use super::API_VERSION;
use crate::mesh::ClusterName;
use crate::progress::{self, Message, ObjectId, Part};
use crate::verify::Verdict;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event<'a> {
    api_version: &'static str,
    kind: &'static str,
    event: Name,
    elapsed_ms: u64,
    cluster: &'a ClusterName,
    #[serde(flatten)]
    part: Part,
    #[serde(flatten)]
    more: More<'a>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Name {
    Started,
    Waiting,
    Arrived,
    Note,
    Done,
    Failed,
    Found,
    Ended,
    Flow,
}

/// Additional fields of some events.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum More<'a> {
    Nothing {},
    Waiting {
        object: &'a ObjectId,
        reason: &'a str,
    },
    Arrived {
        object: &'a ObjectId,
    },
    Said {
        message: &'a str,
    },
    Found {
        verdict: Verdict,
        message: &'a str,
    },
    Flow {
        to: &'a ClusterName,
        #[serde(skip_serializing_if = "Option::is_none")]
        verdict: Option<Verdict>,
        message: &'a str,
    },
}

impl Event<'_> {
    pub fn of(message: &Message, elapsed: Duration) -> Event<'_> {
        let (event, more) = match &message.event {
            progress::Event::Started => (Name::Started, More::Nothing {}),
            progress::Event::Waiting { object, reason } => {
                (Name::Waiting, More::Waiting { object, reason })
            }
            progress::Event::Arrived(object) => (Name::Arrived, More::Arrived { object }),
            progress::Event::Note(message) => (Name::Note, More::Said { message }),
            progress::Event::Done(message) => (Name::Done, More::Said { message }),
            progress::Event::Failed => (Name::Failed, More::Nothing {}),
            &progress::Event::Found(verdict, ref message) => {
                (Name::Found, More::Found { verdict, message })
            }
            progress::Event::Ended => (Name::Ended, More::Nothing {}),
            progress::Event::Flow {
                to, verdict, text, ..
            } => {
                let more = More::Flow {
                    to,
                    verdict: *verdict,
                    message: text,
                };
                (Name::Flow, more)
            }
        };
        Event {
            api_version: API_VERSION,
            kind: "Event",
            event,
            elapsed_ms: elapsed.as_millis() as u64,
            cluster: &message.cluster,
            part: message.part,
            more,
        }
    }
}
