//! The basic promise: at every moment, the record of a cluster names every object that we created there. Objects are
//! found by label and by field manager, in all kinds of the server or in all kinds that we have ever written.

use std::collections::BTreeSet;

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::audit::Mark;
use futures::{StreamExt, TryStreamExt, stream};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, ListParams, ObjectMeta};
use kube::discovery::{Discovery, verbs};
use serde_json::Value;

use crate::support::{Clusters, get, until};

/// Objects that are created before the record, and the record itself.
const FIRST: [&str; 3] = [
    "Namespace kiali",
    "Lease kiali/ambikiali",
    "ConfigMap kiali/ambikiali-record",
];
/// Kinds that mirror a Service or describe other objects.
const MIRRORS: [&str; 2] = ["Endpoints", "Event"];
/// The API group in which the sandbox configures kwok.
const SANDBOX: &str = "kwok.x-k8s.io";

/// The group and plural of each kind that we wrote to a cluster. Objects of other kinds cannot be ours.
pub type Kinds = BTreeSet<(String, String)>;

/// Returns the kinds of all writes since the marks, successful or not.
pub fn written_kinds(marks: &[Mark; 2]) -> [Kinds; 2] {
    marks.each_ref().map(|mark| {
        let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
        let kinds = writes.iter().map(|w| (w.group.clone(), w.resource.clone()));
        kinds.collect()
    })
}

/// Returns our objects in both clusters that no record names.
pub async fn lost(clusters: &Clusters) -> Vec<String> {
    search(clusters, [None, None]).await
}

/// Like `lost`, in these kinds of home and of the remote.
pub async fn lost_among(clusters: &Clusters, kinds: &[Kinds; 2]) -> Vec<String> {
    search(clusters, kinds.each_ref().map(Some)).await
}

async fn search(clusters: &Clusters, [home, remote]: [Option<&Kinds>; 2]) -> Vec<String> {
    let (home, remote) = tokio::join!(
        lost_in(clusters.home(), home),
        lost_in(clusters.remote(), remote)
    );
    [home, remote].concat()
}

/// Waits for a namespace that is terminating, because it deletes its record and everything else in it.
async fn lost_in(cluster: &Cluster, kinds: Option<&Kinds>) -> Vec<String> {
    until("kiali is not on its way out", async || {
        let namespace = get(cluster, "v1", "Namespace", "kiali").await;
        namespace.is_none_or(|live| live["metadata"]["deletionTimestamp"].is_null())
    })
    .await;
    let ours = ours(cluster, kinds).await;
    // Read the record last: objects that exist now must have been named before.
    let named = named(cluster).await;
    let lost = ours.into_iter().filter(|object| !named.contains(object));
    lost.map(|object| format!("{}: {object}", cluster.name()))
        .collect()
}

async fn ours(cluster: &Cluster, among: Option<&Kinds>) -> BTreeSet<String> {
    let discovery = Discovery::new(cluster.client()).run_aggregated().await;
    let discovery = discovery.expect("all kinds");
    let kinds = discovery
        .groups()
        .flat_map(|group| group.recommended_resources());
    let kinds = kinds.filter(|(kind, can)| {
        // Kinds that cannot be created have no objects of ours.
        let made = can.supports_operation(verbs::LIST) && can.supports_operation(verbs::CREATE);
        let key = (kind.group.clone(), kind.plural.clone());
        let asked = among.is_none_or(|among| among.contains(&key));
        asked && made && kind.group != SANDBOX && !MIRRORS.contains(&kind.kind.as_str())
    });
    let lists = stream::iter(kinds.map(|(kind, _)| list(cluster, kind)));
    let lists = lists.buffer_unordered(16).try_collect::<Vec<_>>().await;
    lists.expect("lists").concat().into_iter().collect()
}

async fn list(cluster: &Cluster, kind: ApiResource) -> kube::Result<Vec<String>> {
    let api = Api::<DynamicObject>::all_with(cluster.client(), &kind);
    match api.list_metadata(&ListParams::default()).await {
        Ok(list) => {
            let ours = list.items.into_iter().map(|item| item.metadata);
            let ours = ours.filter(is_ours);
            Ok(ours.map(|meta| name(&kind, &meta)).collect())
        }
        // The kind was deleted since the discovery.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether an object is ours. We never create objects with an owner, but they may have a copy of our labels.
fn is_ours(meta: &ObjectMeta) -> bool {
    let mut labels = meta.labels.iter().flatten();
    let labelled = labels.any(|(label, value)| {
        label == "ambikiali.dev/install" || (label == MANAGED_BY && value == "ambikiali")
    });
    let mut managers = meta.managed_fields.iter().flatten();
    let applied = managers.any(|entry| entry.manager.as_deref() == Some("ambikiali"));
    let owned = meta
        .owner_references
        .as_ref()
        .is_some_and(|o| !o.is_empty());
    (labelled || applied) && !owned
}

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

fn name(kind: &ApiResource, meta: &ObjectMeta) -> String {
    let name = meta.name.as_deref().unwrap_or_default();
    match &meta.namespace {
        Some(namespace) => format!("{} {namespace}/{name}", kind.kind),
        None => format!("{} {name}", kind.kind),
    }
}

async fn named(cluster: &Cluster) -> BTreeSet<String> {
    let mut named = BTreeSet::from(FIRST.map(String::from));
    let Some(record) = get(cluster, "v1", "ConfigMap", "kiali/ambikiali-record").await else {
        return named;
    };
    let text = record["data"]["record.json"].as_str().expect("a record");
    let record: Value = serde_json::from_str(text).expect("JSON");
    for object in record["objects"].as_array().expect("objects") {
        let text = |field: &str| object[field].as_str();
        let (kind, name) = (text("kind").expect("a kind"), text("name").expect("a name"));
        named.insert(match text("namespace") {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        });
    }
    named
}
