//! The record: what an install wrote to a cluster and what it found there, stored in a ConfigMap beside Kiali. It is
//! written before the first object that it names and deleted last, so that a cleanup always knows what to remove. A
//! record that was lost or edited is rebuilt from the labels. Others may write it too, so only objects in the closed
//! list are accepted from it.

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

pub use entry::{CLAIM, Entry, Key, Origin};
pub use found::Found;
pub use parties::Claims;
use parties::Party;
pub use store::{
    announce, choose, cover, finish, keep, look, open, open_to_write, remove, way_out,
};

use super::change::{Change, What};
use super::inventory::Inventory;
use super::ownership::{self, digest};
use crate::guide::Step;
use crate::login::Accepted;
use crate::mesh::{Cluster, Mesh};
use crate::options::Options;
use crate::progress::ObjectId;

pub const NAME: &str = "ambikiali-record";
const DIGEST: &str = "ambikiali.dev/digest";
const KEY: &str = "record.json";
/// The key of a client secret in a Secret.
pub const CLIENT_SECRET: &str = "oidc-secret";

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Content {
    install: String,
    home: Party,
    clusters: Vec<Party>,
    /// The options that differ from the default; only in home's record.
    #[serde(default, skip_serializing_if = "Options::is_default")]
    options: Options,
    /// Whose tokens the API server of this cluster was seen to accept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepts: Option<Accepted>,
    objects: Vec<Entry>,
}

/// The record of one cluster, as this run will write it.
#[derive(Debug)]
pub struct Record {
    /// Id of the install.
    pub id: String,
    /// The closed list of what may be deleted.
    pub inventory: Inventory,
    home: Party,
    clusters: Vec<Party>,
    state: Mutex<State>,
    /// Held while the record is written.
    saving: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, Entry>,
    options: Options,
    accepts: Option<Accepted>,
    /// The record in the cluster.
    stored: Option<Stored>,
    /// The clusters that the record in the cluster names.
    parties: Vec<Party>,
    /// The clusters that it names even if it was edited or is not ours. Only for findings.
    claims: Option<Claims>,
    /// The clusters that it will name, if they differ from those of this run.
    staying: Option<Vec<Party>>,
    removed: Vec<Change>,
    changes: Vec<Change>,
    /// Objects in the record that this program never creates, and how many more there are.
    strange: Vec<String>,
    more_strange: usize,
    /// Objects that the record lists as created, but which lack our labels.
    unlabelled: Vec<ObjectId>,
    /// UIDs of removed objects; the objects that they own are deleted too.
    gone: BTreeSet<String>,
}

/// How many objects a message names.
const NAMED: usize = 5;

#[derive(Clone, Debug)]
struct Stored {
    text: String,
    keys: BTreeSet<Key>,
    options: Options,
}

impl Record {
    /// An empty record for a cluster of this mesh. The record of a remote names only home and itself.
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

    /// Whether the object is ours. Without its UID in the record, it is ours only if nobody else managed its fields. If
    /// admission took its labels off, only the record tells to which install it belongs.
    pub fn owns(&self, key: &Key, live: &ObjectMeta) -> bool {
        match ownership::is_ours(live, &self.id) {
            true => self.names(key, live) || ownership::doubt(&key.kind, live).is_none(),
            false => ownership::lacks_labels(live, &self.id) && self.names(key, live),
        }
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

    /// Whether it is the object that we created, with our labels, even if its managedFields no longer name us: anyone
    /// who may change it may empty them.
    pub fn made(&self, live: &Value) -> bool {
        let meta = ownership::meta(live);
        let entry = self.entry(live);
        ownership::is_labelled(&meta, &self.id)
            && entry.is_some_and(|e| {
                e.origin == Origin::Created && e.uid == meta.uid && e.uid.is_some()
            })
    }

    /// Adds objects that are about to be created, so that the record names them before they exist.
    pub fn plan<'a>(&self, objects: impl IntoIterator<Item = &'a Value>) {
        let mut state = self.state();
        for object in objects {
            let key = Key::of(object);
            state.objects.entry(key.clone()).or_insert(Entry {
                key,
                origin: Origin::Created,
                uid: None,
                applied: None,
                next: None,
                fields: None,
                forced: Vec::new(),
            });
        }
    }

    /// Adds an object that we applied.
    pub fn created(&self, wanted: &Value, live: &Value) {
        let meta = ownership::meta(live);
        self.put(Key::of(wanted), Origin::Created, &meta, fingerprint(wanted));
    }

    /// Adds an existing object that is used unchanged.
    pub fn adopted(&self, live: &Value) {
        let key = Key::of(live);
        // An object with another name is used, but not recorded.
        if self.inventory.can_be_adopted(&key) {
            self.put(key, Origin::Adopted, &ownership::meta(live), None);
        }
    }

    /// Adds an existing object with the fields that were changed with the user's consent.
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
            next: None,
            fields: ownership::owned_fields(meta).filter(|_| origin == Origin::Created),
            forced: Vec::new(),
        };
        let mut state = self.state();
        // Keep the forced fields as long as it is the same object.
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

    /// Whether the same manifest was applied last time. Then a difference is not our change.
    pub fn was_applied(&self, wanted: &Value) -> bool {
        let entry = self.entry(wanted);
        let fingerprint = fingerprint(wanted);
        fingerprint.is_some() && entry.is_some_and(|entry| entry.applied == fingerprint)
    }

    /// Whether the same manifest was applied last time, or by a run that ended before it recorded that.
    pub fn was_written(&self, wanted: &Value) -> bool {
        let entry = self.entry(wanted);
        let print = fingerprint(wanted);
        print.is_some() && entry.is_some_and(|entry| [entry.applied, entry.next].contains(&print))
    }

    /// Notes the manifest that is about to be applied to a recorded object.
    fn announce(&self, wanted: &Value) {
        if let Some(entry) = self.state().objects.get_mut(&Key::of(wanted)) {
            entry.next = fingerprint(wanted);
        }
    }

    /// Marks an object as removed.
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

    /// Drops an object that the record lists as created, but which lacks our labels.
    pub fn not_ours(&self, entry: &Entry, live: &ObjectMeta) {
        let mut state = self.state();
        state.objects.remove(&entry.key);
        // With another UID, somebody recreated it.
        if entry.uid.is_some() && entry.uid == live.uid {
            state.unlabelled.push(entry.key.id());
        }
    }

    /// Whether this run removed the object with this UID.
    pub fn is_gone(&self, uid: &str) -> bool {
        self.state().gone.contains(uid)
    }

    /// The options of the last install; None without a record.
    pub fn stored_options(&self) -> Option<Options> {
        let state = self.state();
        state.stored.as_ref().map(|stored| stored.options.clone())
    }

    /// Whose tokens the API server of this cluster was seen to accept.
    pub fn accepts(&self) -> Option<Accepted> {
        self.state().accepts.clone()
    }

    pub fn set_accepts(&self, accepts: Option<Accepted>) {
        self.state().accepts = accepts;
    }

    fn text(&self) -> Result<String> {
        // Unlock before `entries` locks again below.
        let (staying, options, accepts) = {
            let state = self.state();
            (
                state.staying.clone(),
                state.options.clone(),
                state.accepts.clone(),
            )
        };
        let content = Content {
            install: self.id.clone(),
            home: self.home.clone(),
            clusters: staying.unwrap_or_else(|| self.clusters.clone()),
            options,
            accepts,
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

/// Digest of a manifest, independent of the order of its fields. None with a value that a person may have chosen, which
/// the digest would help to guess.
fn fingerprint(wanted: &Value) -> Option<String> {
    let is_chosen = wanted["data"].get(CLIENT_SECRET).is_some();
    (!is_chosen).then(|| digest(&sorted(wanted).to_string()))
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
