//! Server-side apply without force: read, compare, and write only what differs, so that a second
//! install writes nothing and nothing foreign is ever touched.

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::conflict;
use super::difference::difference;
use super::request::{Refusal, send, send_opt};
use super::{FIELD_MANAGER, MANAGED_BY, Scope, advice, kinds, wait};
use crate::progress::ObjectId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Changed,
    Unchanged,
    /// It was there before us and serves as it is.
    Reused,
}

/// Whether an install begins here, or goes on. It decides what is tried first: to create, or to look.
/// A wrong guess costs a request and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Unknown,
    Nothing,
}

/// No object has this version: an apply that carries it creates, or is refused.
const NEVER: &str = "1";

/// Whose an object is.
pub enum Claim {
    Created(Value),
    Ours(Value),
    Foreign(Value),
}

/// What an apply found and left.
#[derive(Clone, Debug)]
pub struct Applied {
    pub outcome: Outcome,
    /// As it was before, when it was there.
    pub before: Option<Value>,
    pub live: Value,
}

/// Brings one object to what the manifest says; a foreign one is never written.
pub async fn apply(scope: &Scope<'_>, object: &Value, before: Before) -> Result<Applied> {
    let done = |outcome, before, live| {
        Ok(Applied {
            outcome,
            before,
            live,
        })
    };
    let live = match claim(scope, object, before).await? {
        Claim::Created(live) => {
            overruled(scope, object, &live)?;
            return done(Outcome::Created, None, live);
        }
        Claim::Foreign(live) => {
            return match difference(object, &live) {
                None => done(Outcome::Reused, Some(live.clone()), live),
                Some(field) => {
                    Err(conflict::foreign(scope, &kinds::id(object)?, &live, &field).into())
                }
            };
        }
        Claim::Ours(live) => live,
    };
    let mut wanted = with_owner(object);
    if difference(&wanted, &live).is_none() {
        return done(Outcome::Unchanged, Some(live.clone()), live);
    }
    // What was looked at is what is changed.
    wanted["metadata"]["uid"] = live["metadata"]["uid"].clone();
    match write(scope, &wanted).await? {
        Ok(written) => {
            overruled(scope, object, &written)?;
            // What is changed back on its way in is stored as it was.
            let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
            let outcome = match version(&written) == version(&live) {
                true => Outcome::Unchanged,
                false => Outcome::Changed,
            };
            done(outcome, Some(live), written)
        }
        Err(refusal) => Err(conflict::refused(scope, &kinds::id(object)?, &refusal)),
    }
}

/// A webhook or policy that changes our fields wins over every further write: said once, not fought.
fn overruled(scope: &Scope<'_>, wanted: &Value, written: &Value) -> Result<()> {
    if let Some(field) = difference(wanted, written) {
        let id = kinds::id(wanted)?;
        scope.progress.note(format!(
            "{id}: an admission policy or webhook of the cluster changes {field}; left so"
        ));
    }
    Ok(())
}

/// Creates an object that is not there; tells whose it is otherwise. Never changes one.
pub async fn claim(scope: &Scope<'_>, object: &Value, before: Before) -> Result<Claim> {
    let id = kinds::id(object)?;
    let mut new = with_owner(object);
    new["metadata"]["resourceVersion"] = json!(NEVER);
    let mut look = before == Before::Unknown;
    loop {
        if look && let Some(live) = read(scope, object, &id).await? {
            return Ok(if is_ours(&live) {
                Claim::Ours(live)
            } else {
                Claim::Foreign(live)
            });
        }
        match write(scope, &new).await? {
            Ok(live) => return Ok(Claim::Created(live)),
            // It is there, or came in between: whose is it?
            Err(_) if !look => look = true,
            Err(refusal) => return Err(conflict::refused(scope, &id, &refusal)),
        }
    }
}

/// What needs a ServiceAccount last, the rest at once; the result is in the order given. Pods of a
/// Deployment that comes before its account are refused, which looks like a failure for good; a
/// token Secret that comes before it is deleted by the token controller.
pub async fn apply_all(
    scope: &Scope<'_>,
    objects: &[Value],
    before: Before,
) -> Result<Vec<Applied>> {
    let (last, first): (Vec<_>, Vec<_>) = objects
        .iter()
        .enumerate()
        .partition(|(_, o)| matches!(o["kind"].as_str(), Some("Deployment" | "Secret")));
    let mut applied = Vec::new();
    for tier in [first, last] {
        let tier = tier
            .into_iter()
            .map(async |(i, object)| anyhow::Ok((i, apply(scope, object, before).await?)));
        applied.extend(futures::future::try_join_all(tier).await?);
    }
    applied.sort_by_key(|(i, _)| *i);
    Ok(applied.into_iter().map(|(_, applied)| applied).collect())
}

/// "created 5", "changed 1, unchanged 4": what a step did, for its line.
pub fn summary(applied: &[Applied]) -> String {
    let count = |outcome, word: &str| {
        let n = applied.iter().filter(|a| a.outcome == outcome).count();
        (n > 0).then(|| format!("{word} {n}"))
    };
    [
        count(Outcome::Created, "created"),
        count(Outcome::Changed, "changed"),
        count(Outcome::Reused, "reused"),
        count(Outcome::Unchanged, "unchanged"),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

/// Whether an object carries our label.
pub fn is_ours(live: &Value) -> bool {
    live["metadata"]["labels"][MANAGED_BY.0] == MANAGED_BY.1
}

pub async fn read(scope: &Scope<'_>, object: &Value, id: &ObjectId) -> Result<Option<Value>> {
    let api = kinds::api(&scope.cluster.client, object)?;
    let live = send_opt(scope, id, || api.get(&id.name)).await?;
    Ok(live.map(serde_json::to_value).transpose()?)
}

fn with_owner(object: &Value) -> Value {
    let mut wanted = object.clone();
    wanted["metadata"]["labels"][MANAGED_BY.0] = json!(MANAGED_BY.1);
    wanted
}

/// Ok(Err): a conflict, for the caller to judge.
async fn write(scope: &Scope<'_>, wanted: &Value) -> Result<Result<Value, Refusal>> {
    let id = kinds::id(wanted)?;
    let api = kinds::api(&scope.cluster.client, wanted)?;
    let params = PatchParams::apply(FIELD_MANAGER).validation_strict();
    let patch = Patch::Apply(wanted);
    let apply = || send(scope, &id, || api.patch(&id.name, &params, &patch));
    match wait::until_served(scope, &id, apply).await {
        Ok(live) => Ok(Ok(serde_json::to_value(live)?)),
        Err(refusal) if refusal.status().is_some_and(|s| s.code == 409) => Ok(Err(refusal)),
        Err(refusal) => Err(advice::refused(scope, refusal).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_what_was_done() {
        let applied = |outcome| Applied {
            outcome,
            before: None,
            live: Value::Null,
        };
        let list = [
            applied(Outcome::Created),
            applied(Outcome::Unchanged),
            applied(Outcome::Created),
        ];
        assert_eq!(summary(&list), "created 2, unchanged 1");
    }
}
