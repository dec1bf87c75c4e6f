//! The record: what an install wrote in a cluster and what it found there, kept as a ConfigMap beside
//! Kiali. It is written before the first object that it names and goes last, so that whatever happens
//! in between, everything that removes knows what to remove. A record that was lost or edited is
//! made again from the labels.

mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use store::{cover, finish, look, open, remove};

use super::ownership::{self, digest};
use crate::mesh::{Cluster, ClusterName, Mesh};
use crate::progress::ObjectId;

pub const NAME: &str = "ambikiali-record";
const DIGEST: &str = "ambikiali.dev/digest";
const KEY: &str = "record.json";

/// Whether an object came with us, or was there and serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Created,
    Adopted,
}

/// How an object is called, whatever it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    pub api_version: String,
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Entry {
    #[serde(flatten)]
    pub key: Key,
    pub origin: Origin,
    /// None as long as it is only about to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Of the manifest that was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// Of the fields that were ours then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Party {
    name: ClusterName,
    uid: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Content {
    install: String,
    home: Party,
    clusters: Vec<Party>,
    objects: Vec<Entry>,
}

/// The record of one cluster, as it will be written.
#[derive(Debug)]
pub struct Record {
    /// Names the install.
    pub id: String,
    home: Party,
    clusters: Vec<Party>,
    state: Mutex<State>,
    /// One writer at a time.
    saving: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, Entry>,
    /// As it is in the cluster, and what it names there.
    stored: Option<(String, BTreeSet<Key>)>,
    removed: Vec<ObjectId>,
}

/// What was in a cluster when its record was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Whole,
    /// None, and nothing of ours either.
    Nothing,
    Lost(usize),
    Edited(usize),
}

impl Key {
    pub fn of(object: &Value) -> Key {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        Key {
            api_version: text("/apiVersion").unwrap_or_default().into(),
            kind: text("/kind").unwrap_or_default().into(),
            namespace: text("/metadata/namespace").map(Into::into),
            name: text("/metadata/name").unwrap_or_default().into(),
        }
    }

    /// As much of the object as its name needs.
    pub fn object(&self) -> Value {
        let metadata = match &self.namespace {
            Some(namespace) => json!({"name": self.name, "namespace": namespace}),
            None => json!({"name": self.name}),
        };
        json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata})
    }

    pub fn id(&self) -> ObjectId {
        ObjectId {
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl Found {
    /// For the people who look: None when all is as it should be.
    pub fn said(self) -> Option<String> {
        let rebuilt = |how, count| {
            Some(format!(
                "the record was {how}; made again from the labels of {count} objects"
            ))
        };
        match self {
            Found::Whole | Found::Nothing => None,
            Found::Lost(count) => rebuilt("lost", count),
            Found::Edited(count) => rebuilt("edited", count),
        }
    }
}

impl Record {
    /// Empty, for a cluster of this mesh.
    pub fn of(mesh: &Mesh, namespace: &str) -> Record {
        let party = |cluster: &Cluster| Party {
            name: cluster.name.clone(),
            uid: cluster.uid.clone(),
        };
        Record {
            id: ownership::install_id(&mesh.home.uid, namespace),
            home: party(&mesh.home),
            clusters: mesh.all().map(party).collect(),
            state: Mutex::default(),
            saving: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_ours(&self, live: &Value) -> bool {
        ownership::is_ours(&ownership::meta(live), &self.id)
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
        self.put(Key::of(live), Origin::Adopted, &ownership::meta(live), None);
    }

    fn put(&self, key: Key, origin: Origin, meta: &ObjectMeta, applied: Option<String>) {
        let entry = Entry {
            key: key.clone(),
            origin,
            uid: meta.uid.clone(),
            applied,
            fields: ownership::owned_fields(meta).filter(|_| origin == Origin::Created),
        };
        self.state().objects.insert(key, entry);
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
    pub fn removed(&self, key: &Key) {
        let mut state = self.state();
        state.objects.remove(key);
        state.removed.push(key.id());
    }

    pub fn forget(&self, key: &Key) {
        self.state().objects.remove(key);
    }

    /// What was removed, in its order.
    pub fn all_removed(&self) -> Vec<ObjectId> {
        self.state().removed.clone()
    }

    fn text(&self) -> Result<String> {
        let content = Content {
            install: self.id.clone(),
            home: self.home.clone(),
            clusters: self.clusters.clone(),
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

fn fingerprint(wanted: &Value) -> String {
    digest(&wanted.to_string())
}
