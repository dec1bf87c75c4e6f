//! Reads, writes and removes the record in its cluster.

use anyhow::Result;
use kube::api::{DeleteParams, Preconditions};
use serde_json::Value;

use super::{Claims, Content, DIGEST, Entry, Found, KEY, Key, NAME, NAMED, Origin, Party, Stored};
use crate::k8s::change::{Change, What};
use crate::k8s::health::Health;
use crate::k8s::ownership::{self, digest};
use crate::k8s::request::change;
use crate::k8s::{Scope, conflict, contents, kinds, write};
use crate::login::Accepted;
use crate::mesh::Cluster;
use crate::options::Options;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::shell::quoted;

/// Limit for the clusters in a record, more than any mesh has.
const CLUSTERS: usize = 1000;

/// Opens the record to write it later. Fails if a foreign object has its name. A whole record that was read before is
/// not read again.
pub async fn open_to_write(scope: &Scope<'_>) -> Result<Found> {
    if scope.record.stored_options().is_some() {
        return Ok(Found::Whole);
    }
    match open(scope).await? {
        Found::Foreign => {
            let id = ObjectId::new("ConfigMap", scope.namespace, NAME);
            Err(conflict::name_taken(scope.cluster, &id).into())
        }
        found => Ok(found),
    }
}

/// Reads the record of a cluster. Without a whole record, it searches all kinds for our labels.
pub async fn open(scope: &Scope<'_>) -> Result<Found> {
    let record = scope.record;
    let name = record.object(scope.namespace)?;
    let live = write::read(scope, &name, &kinds::id(&name)?).await?;
    if let Some(live) = &live
        && let Some(content) = whole(scope, live)?
    {
        let text = live["data"][KEY].as_str().unwrap_or_default();
        take_in(scope, text, content);
        return Ok(Found::Whole);
    }
    let labelled = contents::labelled(scope).await?;
    let mut count = 0;
    for (key, meta) in &labelled {
        // Anyone may copy our labels onto an object.
        if record.inventory.has(key) && record.owns(key, meta) {
            record.put(key.clone(), Origin::Created, meta, None);
            count += 1;
        }
    }
    // A cleanup that must leave the namespace, or a claim, removes the record.
    let is_empty = record.entries().iter().all(|entry| stays(&entry.key));
    Ok(match (live, count) {
        (Some(live), _) if !is_ours(scope, &live) => Found::Foreign,
        (None, _) if is_empty => Found::Nothing,
        (None, count) => Found::Lost(count),
        (Some(_), count) => Found::Edited(count),
    })
}

/// Like `open`, but with a single request, for commands that only read.
pub async fn look(scope: &Scope<'_>) -> Result<Health> {
    let name = scope.record.object(scope.namespace)?;
    let Some(live) = write::read(scope, &name, &kinds::id(&name)?).await? else {
        return Ok(Health::InProgress("not found".into()));
    };
    let Some(content) = whole(scope, &live)? else {
        if !is_ours(scope, &live) {
            return Ok(Health::Failed("somebody else's object has its name".into()));
        }
        let said = "edited by somebody; the next install makes it again";
        return Ok(Health::Failed(said.into()));
    };
    take_in(
        scope,
        live["data"][KEY].as_str().unwrap_or_default(),
        content,
    );
    if let Some(doubt) = scope.record.doubts().into_iter().next() {
        return Ok(Health::Failed(doubt));
    }
    Ok(Health::Ready)
}

/// Whether the ConfigMap is ours, even if somebody edited it. The record does not list itself.
fn is_ours(scope: &Scope<'_>, live: &Value) -> bool {
    ownership::is_ours(&ownership::meta(live), &scope.record.id)
}

/// Accepts only objects that an install creates or can have adopted. The others are reported and never requested.
fn take_in(scope: &Scope<'_>, text: &str, content: Content) {
    let inventory = &scope.record.inventory;
    let (known, strange): (Vec<_>, Vec<_>) =
        content
            .objects
            .into_iter()
            .partition(|entry| match entry.origin {
                Origin::Created => inventory.has(&entry.key),
                Origin::Adopted => inventory.can_be_adopted(&entry.key),
            });
    // Earlier versions also recorded adopted objects with other names.
    let strange = strange.into_iter().filter(|e| e.origin == Origin::Created);
    let strange = strange.map(|entry| entry.key).collect::<Vec<_>>();
    let mut state = scope.record.state();
    state.more_strange = strange.len().saturating_sub(NAMED);
    state.strange = strange.iter().take(NAMED).map(Key::shown).collect();
    state.parties = content.clusters;
    state.stored = Some(Stored {
        text: text.into(),
        keys: known.iter().map(|entry| entry.key.clone()).collect(),
        options: content.options.clone(),
    });
    state.options = content.options;
    state.accepts = content.accepts.filter(Accepted::is_well_formed);
    let entries = known.into_iter().map(Entry::bounded);
    state.objects = entries.map(|entry| (entry.key.clone(), entry)).collect();
}

/// Parses a record, and validates its clusters.
fn read(text: &str) -> Option<Content> {
    let content = serde_json::from_str::<Content>(text).ok()?;
    let parties = std::iter::once(&content.home).chain(&content.clusters);
    let good = content.clusters.len() <= CLUSTERS && parties.into_iter().all(Party::is_well_formed);
    good.then_some(content)
}

/// Returns None if somebody edited the record. Fails for the record of another home.
fn whole(scope: &Scope<'_>, live: &Value) -> Result<Option<Content>, Problem> {
    let text = live["data"][KEY].as_str().unwrap_or_default();
    let digested = live["metadata"]["annotations"][DIGEST].as_str();
    let Some(content) = read(text) else {
        return Ok(None);
    };
    scope.record.state().claims = Some(Claims::of(&content));
    if digested != Some(digest(text).as_str()) {
        return Ok(None);
    }
    if content.install != scope.record.id {
        return Err(another(scope, &content));
    }
    Ok(Some(content))
}

fn another(scope: &Scope<'_>, content: &Content) -> Problem {
    let (cluster, ours) = (&scope.cluster.name, &scope.record.home.name);
    let theirs = &content.home.name;
    Problem::new(
        Exit::Conflict,
        format!(
            "{cluster}: ConfigMap {}/{NAME} says that this cluster belongs to an install whose home is {theirs}, not {ours}",
            scope.namespace
        ),
    )
    .fix(format!(
        "make {theirs} the home (--ctx1), or remove that install first: ambikiali cleanup --ctx1 <context of {theirs}> --ctx2 {}; if there is no such cluster, {}",
        quoted(&scope.cluster.context),
        way_out(scope.cluster, scope.namespace)
    ))
}

/// The fix for a wrong record: our objects are recognised without it.
pub fn way_out(cluster: &Cluster, namespace: &str) -> String {
    format!(
        "somebody changed the record, which is made again from the labels when it is gone: {} -n {namespace} delete configmap {NAME}",
        cluster.kubectl
    )
}

/// Before an object is written: ensures that the record in the cluster names it and all planned objects.
pub async fn cover(scope: &Scope<'_>, object: &Value) -> Result<()> {
    let record = scope.record;
    let _alone = record.saving.lock().await;
    let key = Key::of(object);
    let named = |keys: &std::collections::BTreeSet<Key>| keys.contains(&key);
    if record
        .state()
        .stored
        .as_ref()
        .is_some_and(|stored| named(&stored.keys))
    {
        return Ok(());
    }
    record.plan([object]);
    save(scope).await
}

/// Writes changed options before the first object, so that a run after an interruption uses them too.
pub async fn choose(scope: &Scope<'_>, options: &Options) -> Result<()> {
    let record = scope.record;
    let _alone = record.saving.lock().await;
    let stored = record.stored_options().unwrap_or_default();
    record.state().options = options.clone();
    match stored == *options || scope.choices.dry_run {
        true => Ok(()),
        false => save(scope).await,
    }
}

/// Before a write whose contents the next run must recognise, even if this one ends before it records them.
pub async fn announce(scope: &Scope<'_>, object: &Value) -> Result<()> {
    let _alone = scope.record.saving.lock().await;
    scope.record.announce(object);
    save(scope).await
}

/// After the writes of a run that is no install: writes the record, with the objects that an interrupted install has
/// planned and may have created.
pub async fn keep(scope: &Scope<'_>) -> Result<()> {
    let _alone = scope.record.saving.lock().await;
    save(scope).await
}

/// After all writes: drops objects that were planned but not needed, and writes the record.
pub async fn finish(scope: &Scope<'_>) -> Result<()> {
    let record = scope.record;
    let _alone = record.saving.lock().await;
    record
        .state()
        .objects
        .retain(|_, entry| entry.uid.is_some());
    match scope.choices.dry_run {
        true => foreseen(scope).await,
        false => save(scope).await,
    }
}

/// In a dry run: whether the record itself would change. The UID of a new object is not known yet.
async fn foreseen(scope: &Scope<'_>) -> Result<()> {
    let record = scope.record;
    let makes = record.changes().iter().any(|c| c.what == What::Create);
    let text = record.text()?;
    let stored = record.state().stored.clone();
    if !makes && stored.is_some_and(|stored| stored.text == text) {
        return Ok(());
    }
    let object = record.object(scope.namespace)?;
    let id = kinds::id(&object)?;
    let what = match write::read(scope, &object, &id).await? {
        Some(_) => What::Change,
        None => What::Create,
    };
    record.tell(Change {
        step: scope.progress.step(),
        object: id,
        what,
        fields: Vec::new(),
    });
    Ok(())
}

async fn save(scope: &Scope<'_>) -> Result<()> {
    let (text, object) = (scope.record.text()?, scope.record.object(scope.namespace)?);
    if scope
        .record
        .state()
        .stored
        .as_ref()
        .is_some_and(|stored| stored.text == text)
    {
        return Ok(());
    }
    write::write_record(scope, &object).await?;
    let keys = scope.record.entries().into_iter().map(|entry| entry.key);
    let keys = keys.collect();
    let mut state = scope.record.state();
    let options = state.options.clone();
    state.stored = Some(Stored {
        text,
        keys,
        options,
    });
    Ok(())
}

/// What a cleanup may leave without a record: its labels tell whose it is.
fn stays(key: &Key) -> bool {
    key.kind == "Namespace" || key.is_data()
}

/// Removes the record if nothing else of ours is left.
pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let ours = |entry: &Entry| entry.origin == Origin::Created && !stays(&entry.key);
    let object = scope.record.object(scope.namespace)?;
    let id = kinds::id(&object)?;
    if scope.choices.dry_run || scope.record.entries().iter().any(ours) {
        return Ok(());
    }
    let Some(live) = write::read(scope, &object, &id).await? else {
        return Ok(());
    };
    if !is_ours(scope, &live) {
        return Ok(());
    }
    let params = DeleteParams::background().preconditions(Preconditions {
        uid: ownership::meta(&live).uid,
        resource_version: None,
    });
    let api = kinds::api(&scope.cluster.client, &object)?;
    match change(scope, &id, || api.delete(&id.name, &params)).await? {
        Err(refusal) if !refusal.is_missing() => Err(refusal.into()),
        _ => Ok(()),
    }
}
