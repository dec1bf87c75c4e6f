//! The objects of an install as they are in one cluster, and whether its server would accept the writes. Each object
//! is read once: the install continues with what is found here.

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

/// Steps whose objects contain addresses and tokens, which are unknown before they are written.
const LATER: [Step; 3] = [Step::AggregateMetrics, Step::RemoteSecret, Step::Kiali];

/// Whether the contents of an object are not known yet. The CA for Kiali is.
pub fn comes_later(step: Step, object: &Value) -> bool {
    LATER.contains(&step) && !(step == Step::Kiali && object["kind"] == "ConfigMap")
}

/// An object of an install.
pub struct PlannedObject {
    pub step: Step,
    pub id: ObjectId,
    pub wanted: Value,
    pub live: Live,
    /// Why the server refuses the write, according to a dry run.
    pub refusal: Option<RequestError>,
    /// The object that the server would store.
    pub stored: Option<Value>,
}

pub enum Live {
    There(Value),
    Absent,
    /// The user may not read it, or it is a Secret, which is not read.
    Unknown,
}

/// How to look at the objects of a cluster.
#[derive(Clone, Copy)]
pub struct LookMode {
    /// Most likely, no object exists yet.
    pub first: bool,
    /// Whether writes are tried as dry runs. For a user who lacks rights, that would reveal nothing more.
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

/// The objects that an install need not read again.
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
    let looked = |wanted, live, (stored, refusal)| {
        let id = kinds::id(&wanted)?;
        Ok(PlannedObject {
            step,
            id,
            wanted,
            live,
            refusal,
            stored,
        })
    };
    if mode.first
        && mode.rehearse
        && let Some(new) = would_be_created(scope, &wanted).await?
    {
        return looked(wanted, Live::Absent, (Some(new), None));
    }
    let live = live(scope, &wanted).await?;
    let asks = mode.rehearse && would_be_written(scope, step, &wanted, &live);
    let answer = match asks {
        // Conflicts with other field managers are judged when the object is written.
        true => Some(ask(scope, &labelled(&wanted, &scope.record.id), Force::Yes).await?),
        false => None,
    };
    let answer = match answer {
        Some(Ok(stored)) => (Some(stored), None),
        Some(Err(refusal)) => (None, Some(refusal)),
        None => (None, None),
    };
    looked(wanted, live, answer)
}

/// The object as it would be created; None if it exists or would be refused.
async fn would_be_created(scope: &Scope<'_>, wanted: &Value) -> Result<Option<Value>> {
    let new = apply::only_new(scope, wanted);
    Ok(ask(scope, &new, Force::No).await?.ok())
}

async fn live(scope: &Scope<'_>, wanted: &Value) -> Result<Live> {
    if wanted["kind"] == "Secret" {
        return Ok(Live::Unknown);
    }
    // The missing right to read it is another finding.
    let live = write::read(scope, wanted, &kinds::id(wanted)?).await;
    Ok(match live {
        Ok(Some(live)) => Live::There(live),
        Ok(None) => Live::Absent,
        Err(_) => Live::Unknown,
    })
}

/// Whether an install would write the object. A correct object is not written. A foreign object is judged by its
/// contents, as far as the wanted contents are known.
fn would_be_written(scope: &Scope<'_>, step: Step, wanted: &Value, live: &Live) -> bool {
    match live {
        Live::There(live) if scope.record.is_ours(live) => {
            !apply::is_as_wanted(scope, wanted, live)
        }
        Live::There(_) => comes_later(step, wanted),
        Live::Absent | Live::Unknown => true,
    }
}
