//! Server-side apply: reads, compares, and writes only if something differs, so that a second install writes nothing.
//! Foreign objects are not written and fields of other managers are not taken over, unless the user consents.

mod admission;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::additions;
use super::change::{self, What, tell};
use super::conflict;
use super::difference::{difference, stale_field};
use super::ownership::{self, labelled};
use super::request::RequestError;
use super::write::{Force, read, write};
use super::{Scope, kinds};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Changed,
    Unchanged,
    /// An existing foreign object is used unchanged.
    Reused,
}

/// What may exist before an install. It decides whether the first request creates or reads an object. A wrong guess
/// only costs a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Unknown,
    Nothing,
}

/// Annotation of an object that was rendered incompletely, which names what must be filled in.
pub const PLACEHOLDER: &str = "ambikiali.dev/placeholder";

/// The field managers of an object.
const BOOK: &str = ".metadata.managedFields";

/// No object has this resourceVersion, so an apply with it can only create.
const NEVER: &str = "1";

/// Whether an object was created now, is ours, or is foreign.
pub enum Claim {
    Created(Value),
    Ours(Value),
    Foreign(Value),
}

/// The object before and after an apply.
#[derive(Clone, Debug)]
pub struct Applied {
    pub outcome: Outcome,
    /// The object before the apply, if it existed.
    pub before: Option<Value>,
    pub live: Value,
}

impl Applied {
    pub fn new(outcome: Outcome, before: Option<Value>, live: Value) -> Applied {
        Applied {
            outcome,
            before,
            live,
        }
    }
}

/// Applies one manifest.
pub async fn apply(scope: &Scope<'_>, object: &Value, before: Before) -> Result<Applied> {
    let claim = claim(scope, object, before).await?;
    claimed(scope, object, claim).await
}

async fn claimed(scope: &Scope<'_>, object: &Value, claim: Claim) -> Result<Applied> {
    match claim {
        Claim::Created(live) => {
            admission::report(scope, object, &live, None)?;
            Ok(Applied::new(Outcome::Created, None, live))
        }
        Claim::Foreign(live) => adopt(scope, object, live).await,
        Claim::Ours(live) => bring(scope, object, live).await,
    }
}

/// Applies one manifest over the object as it was read just now.
pub async fn apply_over(scope: &Scope<'_>, object: &Value, live: Option<Value>) -> Result<Applied> {
    match live {
        Some(live) => claimed(scope, object, whose(scope, live)).await,
        None => apply(scope, object, Before::Nothing).await,
    }
}

/// Uses a foreign object unchanged, or fails. With the user's consent, it changes only the needed fields, and the
/// object stays foreign. A role or binding is never changed.
async fn adopt(scope: &Scope<'_>, object: &Value, live: Value) -> Result<Applied> {
    let Some(field) = difference(object, &live) else {
        reuse(scope, object, &live)?;
        return Ok(Applied::new(Outcome::Reused, Some(live.clone()), live));
    };
    let id = kinds::id(object)?;
    let may_take = scope.choices.force_conflicts || is_placeholder(&live);
    if !may_take || conflict::gives_rights(&id.kind) {
        return Err(conflict::foreign(scope, &id, &live, &field).into());
    }
    let mut wanted = object.clone();
    wanted["metadata"]["uid"] = live["metadata"]["uid"].clone();
    let written = write(scope, &wanted, Force::Yes).await??;
    let fields = change::fields(&live, &written).into_iter();
    scope
        .record
        .forced(&written, fields.map(|field| field.path));
    tell(scope, object, What::Change, Some((&live, &written)))?;
    Ok(Applied::new(Outcome::Changed, Some(live), written))
}

/// Whether the object was rendered with a placeholder.
fn is_placeholder(live: &Value) -> bool {
    live["metadata"]["annotations"][PLACEHOLDER].is_string()
}

/// Records a foreign object that is used unchanged.
pub fn reuse(scope: &Scope<'_>, object: &Value, live: &Value) -> Result<()> {
    scope.record.adopted(live);
    tell(scope, object, What::Reuse, None)
}

async fn bring(scope: &Scope<'_>, object: &Value, live: Value) -> Result<Applied> {
    let id = kinds::id(object)?;
    let drifted = scope.record.was_applied(object);
    let mut notes = Vec::new();
    let mut now = live.clone();
    let applied = applied_again(scope, object, &live).await?;
    let changed = applied.is_some();
    if let Some((written, note)) = applied {
        now = written;
        notes.extend(note.filter(|_| drifted));
    }
    let stored = match scope.choices.dry_run {
        true => live.clone(),
        false => now.clone(),
    };
    let added = additions::find(scope, object, &stored, &now).await?;
    if let Some(added) = &added {
        let (fields, by) = (added.fields(), added.by(&live));
        notes.push(format!("{id} was given {fields}{by}; it is as it was"));
        now = additions::take_out(scope, object, &stored, &now, added).await?;
    }
    if !changed && added.is_none() {
        admission::report(scope, object, &live, None)?;
        keep(scope, object, &live)?;
        return Ok(Applied::new(Outcome::Unchanged, Some(live.clone()), live));
    }
    scope.record.created(object, &now);
    admission::report(scope, object, &now, added.as_ref())?;
    // A change that a webhook reverts leaves the object as it was.
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let same = match scope.choices.dry_run {
        true => change::fields(&live, &now).is_empty(),
        false => version(&now) == version(&live),
    };
    if same {
        tell(scope, object, What::Keep, None)?;
        return Ok(Applied::new(Outcome::Unchanged, Some(live), now));
    }
    tell(scope, object, What::Change, Some((&live, &now)))?;
    if !scope.choices.dry_run {
        notes.into_iter().for_each(|note| scope.progress.note(note));
    }
    Ok(Applied::new(Outcome::Changed, Some(live), now))
}

/// Applies the manifest if the live object differs from it; None if it does not, or if writing would not help.
async fn applied_again(
    scope: &Scope<'_>,
    object: &Value,
    live: &Value,
) -> Result<Option<(Value, Option<String>)>> {
    let mut wanted = labelled(object, &scope.record.id);
    let Some(field) = lacking(&wanted, live) else {
        return Ok(None);
    };
    let id = kinds::id(object)?;
    // Change only the version that was read.
    wanted["metadata"]["uid"] = live["metadata"]["uid"].clone();
    if admission::keeps(scope, &wanted, live).await? {
        return Ok(None);
    }
    let mut by = String::new();
    let written = match write(scope, &wanted, Force::No).await? {
        Err(refusal) if is_unbooked(live) || may_take(scope, live, &refusal) => {
            by = conflict::by(&refusal);
            write(scope, &wanted, Force::Yes).await??
        }
        Err(refusal) => return Err(conflict::refused(scope, &id, &refusal)),
        Ok(written) => written,
    };
    let note = brought_back(&wanted, live, &written, field)
        .map(|field| format!("{id} had been changed at {field}{by}; it is as it was"));
    Ok(Some((written, note)))
}

/// The field that a write brought back: the one that was lacking, or another one if admission keeps that.
fn brought_back(wanted: &Value, live: &Value, written: &Value, field: String) -> Option<String> {
    if lacking(wanted, written).as_ref() != Some(&field) {
        return Some(field);
    }
    let changed = change::fields(live, written).into_iter().next();
    changed.map(|field| field.path)
}

/// Whether an apply of our object would write nothing.
pub fn is_as_wanted(scope: &Scope<'_>, object: &Value, live: &Value) -> bool {
    let wanted = labelled(object, &scope.record.id);
    lacking(&wanted, live).is_none()
}

/// The first field of our object that differs from the manifest.
fn lacking(wanted: &Value, live: &Value) -> Option<String> {
    let differs = difference(wanted, live).or_else(|| stale_field(wanted, live));
    // Somebody emptied managedFields: without our entry, the object would no longer be ours.
    differs.or_else(|| is_unbooked(live).then(|| BOOK.into()))
}

fn is_unbooked(live: &Value) -> bool {
    ownership::applied_fields(live).is_none()
}

/// Records our object as unchanged.
pub fn keep(scope: &Scope<'_>, object: &Value, live: &Value) -> Result<()> {
    scope.record.created(object, live);
    tell(scope, object, What::Keep, None)
}

/// Whether conflicting fields may be taken over: with the user's consent, if somebody edited them by hand, or if a merge
/// patch of ours set them. A tool would repeat its change.
fn may_take(scope: &Scope<'_>, live: &Value, refusal: &RequestError) -> bool {
    scope.choices.force_conflicts
        || conflict::is_by_hand(live, refusal)
        || conflict::is_with_ourselves(refusal)
}

/// Creates the object if it does not exist, else tells whose it is. Never changes an object.
pub async fn claim(scope: &Scope<'_>, object: &Value, before: Before) -> Result<Claim> {
    let id = kinds::id(object)?;
    let new = only_new(scope, object);
    let mut look = before == Before::Unknown;
    if let Some(seen) = scope.seen(object) {
        match seen {
            Some(live) => return Ok(whose(scope, live.clone())),
            None => look = false,
        }
    }
    let mut was_refused = false;
    loop {
        if look && let Some(live) = read(scope, object, &id).await? {
            return Ok(whose(scope, live));
        }
        match write(scope, &new, Force::No).await? {
            Ok(live) => {
                scope.record.created(object, &live);
                tell(scope, object, What::Create, None)?;
                return Ok(Claim::Created(live));
            }
            // It exists, possibly since a moment ago, or since a try whose answer was lost: find out whose it is.
            Err(_) if !was_refused => (was_refused, look) = (true, true),
            Err(refusal) => return Err(conflict::refused(scope, &id, &refusal)),
        }
    }
}

/// The manifest for an apply that fails if the object exists.
pub fn only_new(scope: &Scope<'_>, object: &Value) -> Value {
    let mut new = labelled(object, &scope.record.id);
    new["metadata"]["resourceVersion"] = json!(NEVER);
    new
}

fn whose(scope: &Scope<'_>, live: Value) -> Claim {
    match scope.record.is_ours(&live) || scope.record.made(&live) {
        true => Claim::Ours(live),
        false => Claim::Foreign(live),
    }
}

/// Applies objects concurrently, those that need a ServiceAccount last; the result has the given order. The pods of a
/// Deployment without its account are refused, which looks permanent, and the token controller deletes a token
/// Secret without its account.
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

/// Applies the objects of these kinds before the others, which name them.
pub async fn apply_first(
    scope: &Scope<'_>,
    kinds: &[&str],
    objects: &[Value],
    before: Before,
) -> Result<Vec<Applied>> {
    let is_first = |object: &Value| kinds.iter().any(|kind| object["kind"] == *kind);
    let (first, rest): (Vec<_>, Vec<_>) = objects.iter().cloned().partition(is_first);
    let mut applied = apply_all(scope, &first, before).await?;
    applied.extend(apply_all(scope, &rest, before).await?);
    Ok(applied)
}

/// The result for the only object of a kind.
pub fn of_kind<'a>(applied: &'a [Applied], kind: &str) -> Result<&'a Applied> {
    let found = applied.iter().find(|applied| applied.live["kind"] == kind);
    found.with_context(|| format!("a {kind} was applied"))
}

/// A summary of a step, such as "changed 1, unchanged 4".
pub fn summary(applied: &[Applied]) -> String {
    let count = |outcome, word: &str| {
        let n = applied.iter().filter(|a| a.outcome == outcome).count();
        (n > 0).then(|| format!("{word} {n}"))
    };
    let counts = [
        count(Outcome::Created, "created"),
        count(Outcome::Changed, "changed"),
        count(Outcome::Reused, "reused"),
        count(Outcome::Unchanged, "unchanged"),
    ];
    let counts = counts.into_iter().flatten();
    counts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_what_was_done() {
        let applied = |outcome| Applied::new(outcome, None, Value::Null);
        let list = [
            applied(Outcome::Created),
            applied(Outcome::Unchanged),
            applied(Outcome::Created),
        ];
        assert_eq!(summary(&list), "created 2, unchanged 1");
    }
}
