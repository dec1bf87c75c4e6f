//! `status`.

use serde::Serialize;

use super::{Cluster, Unreachable};
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::mesh::ClusterName;
use crate::problem::Exit;
use crate::progress::ObjectId;
use crate::status::Row;

#[derive(Debug, Serialize)]
pub struct StatusResult {
    pub clusters: Vec<Cluster>,
    pub components: Vec<Component>,
    pub unreachable: Vec<Unreachable>,
    /// Whether something that is not as it should be is what the command was told to look for.
    #[serde(skip)]
    pub watched: bool,
}

#[derive(Debug, Serialize)]
pub struct Component {
    pub cluster: ClusterName,
    pub step: Step,
    pub object: ObjectId,
    pub state: State,
    /// Why it is not ready.
    pub reason: Option<String>,
    pub note: Option<String>,
    /// The code that explains the reason or the note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    Ready,
    NotReady,
    Failed,
    Drifted,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Drifted => "drifted",
            State::NotReady => "not ready",
            State::Failed => "failed",
        }
    }
}

impl StatusResult {
    pub fn exit(&self) -> Option<Exit> {
        let ready = |component: &Component| component.state == State::Ready;
        let good = self.unreachable.is_empty() && self.components.iter().all(ready);
        let bad = match self.watched {
            true => Exit::NotVerified,
            false => Exit::Unexpected,
        };
        (!good).then_some(bad)
    }
}

impl From<Row> for Component {
    fn from(row: Row) -> Component {
        let (state, reason) = match row.component.health {
            Health::Ready => (State::Ready, None),
            Health::Failed(what) if row.drifted => (State::Drifted, Some(what)),
            Health::InProgress(why) => (State::NotReady, Some(why)),
            Health::Failed(why) => (State::Failed, Some(why)),
        };
        Component {
            cluster: row.cluster,
            step: row.step,
            object: row.component.object,
            state,
            reason,
            note: row.component.note,
            code: row.component.code,
        }
    }
}
