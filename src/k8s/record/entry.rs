//! One object in the record.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::progress::ObjectId;
use crate::visible;

/// Whether we created an object, or it existed and is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Created,
    Adopted,
}

/// The identity of an object.
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
    /// None if the object is about to be created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Digest of the applied manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// Digest of a manifest that is about to be applied. A run that ends in between leaves either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Digest of the fields that we owned then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
    /// Fields of a foreign object that were changed with the user's consent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forced: Vec<String>,
}

/// How many forced fields are kept for an object.
pub const FORCED: usize = 40;

impl Entry {
    /// Drops values that no install writes, because others may write a record too.
    pub fn bounded(mut self) -> Entry {
        let is_path = |path: &String| {
            path.starts_with('.') && path.len() <= 300 && !path.contains(char::is_control)
        };
        self.forced.retain(is_path);
        self.forced.truncate(FORCED);
        self
    }
}

/// Holds data, which outlives an install unless the user asks otherwise.
pub const CLAIM: &str = "PersistentVolumeClaim";

impl Key {
    pub fn is_data(&self) -> bool {
        self.kind == CLAIM
    }

    pub fn named(api_version: &str, kind: &str, meta: &ObjectMeta) -> Key {
        Key {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }

    pub fn of(object: &Value) -> Key {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        Key {
            api_version: text("/apiVersion").unwrap_or_default().into(),
            kind: text("/kind").unwrap_or_default().into(),
            namespace: text("/metadata/namespace").map(Into::into),
            name: text("/metadata/name").unwrap_or_default().into(),
        }
    }

    /// Minimal object: apiVersion, kind, name, namespace.
    pub fn object(&self) -> Value {
        let metadata = match &self.namespace {
            Some(namespace) => json!({"name": self.name, "namespace": namespace}),
            None => json!({"name": self.name}),
        };
        json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata})
    }

    /// The name for a message, shortened to a line, because others may have written it.
    pub fn shown(&self) -> String {
        visible::short(&self.id().to_string(), 120).into_owned()
    }

    pub fn id(&self) -> ObjectId {
        ObjectId {
            kind: self.kind.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}
