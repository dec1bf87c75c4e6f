//! The record: what an install wrote in a cluster and what it found there, kept as a ConfigMap beside
//! Kiali. It is written before the first object that it names and goes last, so that whatever happens
//! in between, everything that removes knows what to remove. A record that was lost or edited is
//! made again from the labels. Others may write it too, so it is read as what it is: a proposal, of which
//! only what the closed list has is taken in.

mod entry;
mod found;
mod parties;
mod store;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use entry::{Entry, Key, Origin};
pub use found::Found;
pub use parties::Claims;
use parties::Party;
pub use store::{choose, cover, finish, look, open, open_to_write, remove, way_out};

use super::change::{Change, What};
use super::inventory::Inventory;
use super::ownership::{self, digest};
use crate::guide::Step;
use crate::mesh::{Cluster, Mesh};
use crate::options::Options;
use crate::progress::ObjectId;

pub const NAME: &str = "ambikiali-record";
const DIGEST: &str = "ambikiali.dev/digest";
const KEY: &str = "record.json";

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Content {
    install: String,
    home: Party,
    clusters: Vec<Party>,
    /// Those that are not the default; only home's record has them.
    #[serde(default, skip_serializing_if = "Options::is_default")]
    options: Options,
    objects: Vec<Entry>,
}

/// The record of one cluster, as it will be written.
#[derive(Debug)]
pub struct Record {
    /// Names the install.
    pub id: String,
    /// All that may be deleted, whatever else is named.
    pub inventory: Inventory,
    home: Party,
    clusters: Vec<Party>,
    state: Mutex<State>,
    /// One writer at a time.
    saving: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, Entry>,
    options: Options,
    /// As it is in the cluster, and what it names there.
    stored: Option<Stored>,
    /// The clusters that it names there.
    parties: Vec<Party>,
    /// The clusters that it names, whether or not it is whole and ours. Only for findings.
    claims: Option<Claims>,
    /// Those that it will name, when they are not the ones of this run.
    staying: Option<Vec<Party>>,
    removed: Vec<Change>,
    changes: Vec<Change>,
    /// What it names and this program never makes; and how many more of these.
    strange: Vec<String>,
    more_strange: usize,
    /// Named as made by us, and without our labels.
    unlabelled: Vec<ObjectId>,
    /// UIDs of what was removed: what it owns goes too.
    gone: BTreeSet<String>,
}

/// As many as a message holds.
const NAMED: usize = 5;

#[derive(Clone, Debug)]
struct Stored {
    text: String,
    keys: BTreeSet<Key>,
    options: Options,
}

impl Record {
    /// Empty, for a cluster of this mesh. A remote's names home and itself: it is none of its business
    /// what other remotes come and go.
    pub fn of(mesh: &Mesh, cluster: &Cluster, namespace: &str, inventory: Inventory) -> Record {
        let mut record = Record {
            id: ownership::install_id(&mesh.home.uid, namespace),
            inventory,
            home: Party::of(&mesh.home),
            clusters: Vec::new(),
            state: Mutex::default(),
            saving: tokio::sync::Mutex::default(),
        };
        record.set_members(mesh, cluster);
        record
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_ours(&self, live: &Value) -> bool {
        self.owns(&Key::of(live), &ownership::meta(live))
    }

    /// One that is not named by its UID is ours only when nobody else had a hand in it.
    pub fn owns(&self, key: &Key, live: &ObjectMeta) -> bool {
        ownership::is_ours(live, &self.id)
            && (self.names(key, live) || ownership::doubt(&key.kind, live).is_none())
    }

    fn names(&self, key: &Key, live: &ObjectMeta) -> bool {
        let Some(uid) = &live.uid else {
            return false;
        };
        let state = self.state();
        let entry = state.objects.get(key);
        let is_it = |e: &Entry| e.origin == Origin::Created && e.uid.as_ref() == Some(uid);
        state.gone.contains(uid) || entry.is_some_and(is_it)
    }

    /// Whether it is the very object that we made, with our labels, though the server's book of its fields
    /// no longer names us: whoever may change it may empty that book.
    pub fn made(&self, live: &Value) -> bool {
        let meta = ownership::meta(live);
        let entry = self.entry(live);
        ownership::is_labelled(&meta, &self.id)
            && entry.is_some_and(|e| {
                e.origin == Origin::Created && e.uid == meta.uid && e.uid.is_some()
            })
    }

    /// Takes in what is about to be made, so that it is named before it is there.
    pub fn plan<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) {
        let mut state = self.state();
        for object in objects {
            let key = Key::of(object);
            state.objects.entry(key.clone()).or_insert(Entry {
                key,
                origin: Origin::Created,
                uid: None,
                applied: None,
                fields: None,
                forced: Vec::new(),
            });
        }
    }

    /// Takes in what we applied.
    pub fn created(&self, wanted: &Value, live: &Value) {
        let meta = ownership::meta(live);
        self.put(
            Key::of(wanted),
            Origin::Created,
            &meta,
            Some(fingerprint(wanted)),
        );
    }

    /// Takes in what was there and serves as it is.
    pub fn adopted(&self, live: &Value) {
        let key = Key::of(live);
        // One under another name is used, and none of an install's business beyond that.
        if self.inventory.can_be_adopted(&key) {
            self.put(key, Origin::Adopted, &ownership::meta(live), None);
        }
    }

    /// Takes in what was there and was changed in these fields, on the user's word.
    pub fn forced(&self, live: &Value, fields: impl IntoIterator<Item = String>) {
        self.adopted(live);
        if let Some(entry) = self.state().objects.get_mut(&Key::of(live)) {
            entry.forced.extend(fields);
            entry.forced.sort();
            entry.forced.dedup();
            entry.forced.truncate(entry::FORCED);
        }
    }

    fn put(&self, key: Key, origin: Origin, meta: &ObjectMeta, applied: Option<String>) {
        let mut entry = Entry {
            key: key.clone(),
            origin,
            uid: meta.uid.clone(),
            applied,
            fields: ownership::owned_fields(meta).filter(|_| origin == Origin::Created),
            forced: Vec::new(),
        };
        let mut state = self.state();
        // What was forced once stays told, as long as it is the same object of somebody else.
        if let Some(before) = state.objects.get_mut(&key)
            && (before.origin, &before.uid) == (origin, &entry.uid)
        {
            entry.forced = std::mem::take(&mut before.forced);
        }
        state.objects.insert(key, entry);
    }

    pub fn entry(&self, object: &Value) -> Option<Entry> {
        self.state().objects.get(&Key::of(object)).cloned()
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.state().objects.values().cloned().collect()
    }

    /// Whether this very manifest was applied last time: what differs now is not our change.
    pub fn was_applied(&self, wanted: &Value) -> bool {
        let entry = self.entry(wanted);
        entry.is_some_and(|entry| entry.applied == Some(fingerprint(wanted)))
    }

    /// It is gone.
    pub fn removed(&self, step: Step, key: &Key, uid: &str) {
        let mut state = self.state();
        state.objects.remove(key);
        state.gone.insert(uid.into());
        state.removed.push(Change {
            step,
            object: key.id(),
            what: What::Delete,
            fields: Vec::new(),
        });
    }

    pub fn forget(&self, key: &Key) {
        self.state().objects.remove(key);
    }

    /// It is named as made by us, and the object itself does not say so.
    pub fn not_ours(&self, entry: &Entry, live: &ObjectMeta) {
        let mut state = self.state();
        state.objects.remove(&entry.key);
        // Another UID is no surprise: somebody made it again.
        if entry.uid.is_some() && entry.uid == live.uid {
            state.unlabelled.push(entry.key.id());
        }
    }

    /// Whether an object of this UID was removed by this run.
    pub fn is_gone(&self, uid: &str) -> bool {
        self.state().gone.contains(uid)
    }

    /// Those of the last install; None without a record.
    pub fn stored_options(&self) -> Option<Options> {
        let state = self.state();
        state.stored.as_ref().map(|stored| stored.options.clone())
    }

    fn text(&self) -> Result<String> {
        // Not in the expression below, in which `entries` locks again.
        let (staying, options) = {
            let state = self.state();
            (state.staying.clone(), state.options.clone())
        };
        let content = Content {
            install: self.id.clone(),
            home: self.home.clone(),
            clusters: staying.unwrap_or_else(|| self.clusters.clone()),
            options,
            objects: self.entries(),
        };
        Ok(serde_json::to_string_pretty(&content)?)
    }

    pub fn object(&self, namespace: &str) -> Result<Value> {
        let text = self.text()?;
        Ok(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "annotations": {DIGEST: digest(&text)},
            },
            "data": {KEY: text},
        }))
    }
}

/// Whatever the order of its fields.
fn fingerprint(wanted: &Value) -> String {
    digest(&sorted(wanted).to_string())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields = fields.iter().collect::<Vec<_>>();
            fields.sort_unstable_by_key(|(key, _)| *key);
            let fields = fields.into_iter();
            fields
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests;
