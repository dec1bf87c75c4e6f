//! Changes one thing in a cluster and undoes it.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use crate::support::{Foreign, get, merge, patch_status, put, remove, scale};

/// The apiVersion, the kind, and `namespace/name`.
pub type Object = (&'static str, &'static str, &'static str);

/// A defect of a mesh.
pub enum Change {
    /// A merge patch of an object.
    Of(Object, Value),
    /// A merge patch of its status.
    OfStatus(Object, Value),
    /// Scales a Deployment: the new and the old number of replicas.
    Scaled(&'static str, [i64; 2]),
    /// Sets a variable of a Deployment's first container.
    Env(Object, String, String),
    /// Replaces an object by this YAML, or removes it if the YAML is empty.
    Replaced(Object, &'static str),
    /// Foreign objects in YAML.
    By(&'static str),
}

/// How to undo a change.
pub enum Undo<'a> {
    Put(Box<Value>),
    Status(Object, Value),
    Scale(&'static str, i64),
    Remove(Foreign<'a>),
    Back(Object, Foreign<'a>, Box<Value>),
}

impl Change {
    pub async fn make<'a>(&self, cluster: &'a Cluster) -> Undo<'a> {
        match self {
            Change::Of(object, change) => {
                let before = live(cluster, *object).await;
                merge(cluster, object.0, object.1, object.2, change).await;
                Undo::Put(Box::new(before))
            }
            Change::OfStatus(object, status) => {
                let before = live(cluster, *object).await["status"].take();
                patch_status(cluster, object.0, object.1, object.2, status).await;
                Undo::Status(*object, before)
            }
            Change::Scaled(name, [now, before]) => {
                scale(cluster, name, *now).await;
                Undo::Scale(name, *before)
            }
            Change::Env(object, name, value) => {
                let before = live(cluster, *object).await;
                let mut after = before.clone();
                let env = &mut after["spec"]["template"]["spec"]["containers"][0]["env"];
                let variables = env.as_array_mut().expect("variables");
                variables.retain(|variable| variable["name"] != *name);
                variables.push(json!({"name": name, "value": value}));
                put(cluster, after).await;
                Undo::Put(Box::new(before))
            }
            Change::Replaced(object, yaml) => {
                let before = live(cluster, *object).await;
                remove(cluster, object.0, object.1, object.2).await;
                let instead = Foreign::apply(cluster, yaml).await;
                Undo::Back(*object, instead, Box::new(before))
            }
            Change::By(yaml) => Undo::Remove(Foreign::apply(cluster, yaml).await),
        }
    }
}

impl Undo<'_> {
    pub async fn undo(self, cluster: &Cluster) {
        match self {
            Undo::Put(before) => put(cluster, *before).await,
            Undo::Status(object, before) => {
                patch_status(cluster, object.0, object.1, object.2, &before).await;
            }
            Undo::Scale(name, replicas) => scale(cluster, name, replicas).await,
            Undo::Remove(foreign) => foreign.removed().await,
            Undo::Back(object, instead, mut before) => {
                instead.removed().await;
                let metadata = before["metadata"].as_object_mut().expect("metadata");
                metadata
                    .retain(|field, _| ["name", "namespace", "labels"].contains(&field.as_str()));
                let status = before["status"].take();
                Foreign::made(cluster, vec![*before], "istiod").await;
                patch_status(cluster, object.0, object.1, object.2, &status).await;
            }
        }
    }
}

async fn live(cluster: &Cluster, object: Object) -> Value {
    let live = get(cluster, object.0, object.1, object.2).await;
    live.unwrap_or_else(|| json!(null))
}
