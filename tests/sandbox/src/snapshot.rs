//! All objects of a cluster at one moment, and the differences between two moments. This proves that a cleanup leaves
//! nothing and that a read-only command changes nothing. Kinds come from the discovery API, so that none is missed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::stream::{StreamExt, TryStreamExt, iter};
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::discovery::{Discovery, verbs};
use kube::{Client, Error, ResourceExt};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::standin::OURS;

mod content;

/// Objects without the fields that servers maintain: status, versions and managed fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    objects: BTreeMap<Key, Object>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    group: String,
    kind: String,
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, PartialEq)]
struct Object {
    /// None if the owner may replace the object by another one.
    uid: Option<String>,
    content: Value,
}

/// Kinds whose objects come and go by themselves or only mirror other objects.
const LEFT_OUT: [&str; 7] = [
    "Event",
    "Lease",
    "Endpoints",
    "EndpointSlice",
    // Mirrors a Service. If the creation of the Service was interrupted, its address stays for minutes.
    "IPAddress",
    "APIService",
    "ComponentStatus",
];

impl Snapshot {
    pub async fn take(cluster: &Cluster) -> Result<Snapshot> {
        let client = cluster.client();
        let discovery = Discovery::new(client.clone()).run_aggregated().await?;
        let kinds = discovery
            .groups()
            .flat_map(|group| group.recommended_resources());
        let kinds = kinds.filter(|(kind, can)| can.supports_operation(verbs::LIST) && kept(kind));
        let lists = iter(kinds.map(|(kind, _)| list(client.clone(), kind)));
        let lists: Vec<_> = lists.buffer_unordered(16).try_collect().await?;
        let all: Vec<_> = lists
            .into_iter()
            .flatten()
            .filter(|(kind, object)| !bookkeeping(object) && !is_late(kind, object))
            .collect();
        let owners = content::deployments(&all);
        let objects = all
            .into_iter()
            .map(|(kind, object)| content::reduce(&kind, object, &owners));
        Ok(Snapshot {
            objects: objects.collect(),
        })
    }

    /// Takes snapshots until two in a row are equal, because garbage is collected in the background.
    pub async fn settled(cluster: &Cluster) -> Result<Snapshot> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut last = Snapshot::take(cluster).await?;
        loop {
            sleep(Duration::from_millis(400)).await;
            let next = Snapshot::take(cluster).await?;
            if next == last {
                return Ok(next);
            }
            if Instant::now() > deadline {
                let moving = last.diff(&next).join("\n  ");
                bail!("{} does not settle:\n  {moving}", cluster.name());
            }
            last = next;
        }
    }

    /// Returns a sorted list with a line for each object that was added, removed or changed until `after`, such as
    /// `~ Deployment kiali/kiali spec.replicas`. It contains no values, because some are secret.
    pub fn diff(&self, after: &Snapshot) -> Vec<String> {
        let mut lines = Vec::new();
        for (key, object) in &self.objects {
            match after.objects.get(key) {
                None => lines.push(format!("- {key}")),
                Some(new) if new.uid != object.uid => lines.push(format!("~ {key} is a new one")),
                Some(new) => {
                    let paths = content::differences(&object.content, &new.content);
                    lines.extend(paths.into_iter().map(|path| format!("~ {key} {path}")));
                }
            }
        }
        let added = after
            .objects
            .keys()
            .filter(|key| !self.objects.contains_key(key));
        lines.extend(added.map(|key| format!("+ {key}")));
        lines.sort_by(|a, b| a[2..].cmp(&b[2..]));
        lines
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace.is_empty() {
            true => write!(f, "{} {}", self.kind, self.name),
            false => write!(f, "{} {}/{}", self.kind, self.namespace, self.name),
        }
    }
}

fn kept(kind: &ApiResource) -> bool {
    !LEFT_OUT.contains(&kind.kind.as_str()) && kind.group != "kwok.x-k8s.io"
}

/// Whether the sandbox wrote the object as a substitute for bookkeeping of a real cluster. Other objects of that kind
/// count.
fn bookkeeping(object: &DynamicObject) -> bool {
    let label = object.labels().get(OURS.0);
    label.is_some_and(|value| value == OURS.1)
}

/// istiod writes this one into each namespace, but no longer does so after its API server was away.
fn is_late(kind: &ApiResource, object: &DynamicObject) -> bool {
    kind.kind == "ConfigMap" && object.name_any() == "istio-ca-crl"
}

async fn list(client: Client, kind: ApiResource) -> Result<Vec<(ApiResource, DynamicObject)>> {
    let api: Api<DynamicObject> = Api::all_with(client, &kind);
    let any = ListParams::default();
    let objects = match kind.kind.as_str() {
        // Schemas have several megabytes and cannot change without the generation.
        "CustomResourceDefinition" => api.list_metadata(&any).await.map(|list| {
            let generations = list.items.into_iter().map(|kind| DynamicObject {
                data: json!({"generation": kind.metadata.generation}),
                metadata: kind.metadata,
                types: None,
            });
            generations.collect::<Vec<_>>()
        }),
        _ => api.list(&any).await.map(|list| list.items),
    };
    match objects {
        Ok(objects) => Ok(objects
            .into_iter()
            .map(|object| (kind.clone(), object))
            .collect()),
        // The kind was deleted since the discovery.
        Err(Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(err) => Err(err).with_context(|| format!("cannot list {}", kind.plural)),
    }
}

fn key(kind: &ApiResource, object: &DynamicObject, name: String) -> Key {
    Key {
        group: kind.group.clone(),
        kind: kind.kind.clone(),
        namespace: object.namespace().unwrap_or_default(),
        name,
    }
}
