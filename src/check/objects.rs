//! The objects of an install as one cluster has them now, and what its server would say to the writes.
//! Each object is asked for once: an install goes on with what is found here.

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::AT_ONCE;
use crate::guide::Step;
use crate::k8s::apply;
use crate::k8s::ownership::labelled;
use crate::k8s::record::Key;
use crate::k8s::request::RequestError;
use crate::k8s::seen::Seen;
use crate::k8s::write::{self, Force, ask};
use crate::k8s::{Scope, kinds};
use crate::progress::ObjectId;

/// Steps whose objects hold addresses and tokens, which are only known when they are written.
pub const LATER: [Step; 3] = [Step::AggregateMetrics, Step::RemoteSecret, Step::Kiali];

/// An object of an install.
pub struct PlannedObject {
    pub step: Step,
    pub id: ObjectId,
    pub wanted: Value,
    pub live: Live,
    /// What the server says to the write, asked as a dry run.
    pub refusal: Option<RequestError>,
}

pub enum Live {
    There(Value),
    Absent,
    /// The user may not read it, or nobody should: a Secret.
    Unknown,
}

/// How the objects of a cluster are looked at.
#[derive(Clone, Copy)]
pub struct LookMode {
    /// Most likely nothing is there yet.
    pub first: bool,
    /// Whether writes are rehearsed. It tells nothing more to a user who lacks rights.
    pub rehearse: bool,
}

pub async fn look(
    scope: &Scope<'_>,
    planned: Vec<(Step, Value)>,
    mode: LookMode,
) -> Result<Vec<PlannedObject>> {
    let looked = planned
        .into_iter()
        .map(async |(step, wanted)| one(scope, step, wanted, mode).await);
    let looked = futures::stream::iter(looked).buffered(AT_ONCE);
    looked.try_collect().await
}

/// What an install need not read again.
pub fn seen(looked: &[PlannedObject]) -> Seen {
    let mut seen = Seen::default();
    for PlannedObject { wanted, live, .. } in looked {
        match live {
            Live::There(live) => seen.put(Key::of(wanted), Some(live.clone())),
            Live::Absent => seen.put(Key::of(wanted), None),
            Live::Unknown => {}
        }
    }
    seen
}

async fn one(
    scope: &Scope<'_>,
    step: Step,
    wanted: Value,
    mode: LookMode,
) -> Result<PlannedObject> {
    let looked = |wanted, live, refusal| {
        let id = kinds::id(&wanted)?;
        Ok(PlannedObject {
            step,
            id,
            wanted,
            live,
            refusal,
        })
    };
    if mode.first && mode.rehearse && would_be_created(scope, &wanted).await? {
        return looked(wanted, Live::Absent, None);
    }
    let live = live(scope, &wanted).await?;
    let asks = mode.rehearse && would_be_written(scope, step, &wanted, &live);
    let refusal = match asks {
        // Fields that another tool manages are judged where they are written.
        true => ask(scope, &labelled(&wanted, &scope.record.id), Force::Yes)
            .await?
            .err(),
        false => None,
    };
    looked(wanted, live, refusal)
}

/// Whether it is not there, and could be made.
async fn would_be_created(scope: &Scope<'_>, wanted: &Value) -> Result<bool> {
    let new = apply::only_new(scope, wanted);
    Ok(ask(scope, &new, Force::No).await?.is_ok())
}

async fn live(scope: &Scope<'_>, wanted: &Value) -> Result<Live> {
    if wanted["kind"] == "Secret" {
        return Ok(Live::Unknown);
    }
    // Who may not read it is told of the missing right.
    let live = write::read(scope, wanted, &kinds::id(wanted)?).await;
    Ok(match live {
        Ok(Some(live)) => Live::There(live),
        Ok(None) => Live::Absent,
        Err(_) => Live::Unknown,
    })
}

/// What is as it should be is not written. What is somebody else's is judged by what it holds, as far as it
/// is known by now what it should hold.
fn would_be_written(scope: &Scope<'_>, step: Step, wanted: &Value, live: &Live) -> bool {
    match live {
        Live::There(live) if scope.record.is_ours(live) => {
            !apply::is_as_wanted(scope, wanted, live)
        }
        Live::There(_) => LATER.contains(&step),
        Live::Absent | Live::Unknown => true,
    }
}
