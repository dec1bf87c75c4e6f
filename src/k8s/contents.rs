//! Lists objects of every kind that the server knows: foreign objects in a namespace, because deleting it would
//! delete them too; objects with our labels, if the record is lost; and what is left after a cleanup, which
//! must not trust the record that it worked from.

mod foreign;

use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::discovery::{ApiCapabilities, Discovery, Scope as Reach, verbs};

use super::ownership::{self, MANAGED_BY};
use super::record::Key;
use super::request::send;
use super::{Scope, wait};
use crate::mesh::pages;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

/// Kinds that every API server has. Discovery without them is incomplete.
const EVERYWHERE: [&str; 5] = ["ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"];
/// Events are about other objects and worthless without them.
const EVENT: &str = "Event";
/// How long the garbage collector may take to delete dependents.
const GC_TIMEOUT: Duration = Duration::from_secs(30);

/// The foreign objects in a namespace.
#[derive(Debug, Default)]
pub struct ForeignObjects {
    pub foreign: Vec<ObjectId>,
    /// Our claims, which are kept.
    pub data: Vec<ObjectId>,
    /// Kinds that cannot be listed, and why. Whether there are objects of these is unknown.
    pub unlistable: Vec<String>,
}

/// Lists foreign objects, after waiting for the garbage collector to delete dependents.
pub async fn of_namespace(scope: &Scope<'_>, namespace: &str) -> Result<ForeignObjects> {
    let patience = match scope.choices.dry_run {
        true => Duration::ZERO,
        false => GC_TIMEOUT,
    };
    let look = async || {
        let found = walk(scope, Some(namespace), ListParams::default()).await?;
        let stays = foreign::foreign_objects(scope, &found.objects);
        let is_ours = |(key, meta): &&&(Key, ObjectMeta)| {
            let record = scope.record;
            key.is_data() && record.inventory.has(key) && record.owns(key, meta)
        };
        let ids =
            |objects: Vec<&(Key, ObjectMeta)>| objects.iter().map(|(key, _)| key.id()).collect();
        let (data, foreign): (Vec<_>, Vec<_>) = stays.iter().partition(is_ours);
        let may_go = foreign::may_go(&stays);
        let held = ForeignObjects {
            foreign: ids(foreign),
            data: ids(data),
            unlistable: found.unlistable,
        };
        anyhow::Ok((held, may_go))
    };
    let mut held = wait::settled(scope, patience, look).await?;
    held.foreign.sort();
    Ok(held)
}

/// All objects with a label, of any namespace and kind.
pub async fn with_label(scope: &Scope<'_>, label: &str) -> Result<Vec<(Key, ObjectMeta)>> {
    let found = walk(scope, None, ListParams::default().labels(label)).await?;
    Ok(found.objects)
}

/// All objects of this install by their labels and field managers, and those with one of our names that only
/// have its labels.
pub async fn labelled(scope: &Scope<'_>) -> Result<Vec<(Key, ObjectMeta)>> {
    let record = scope.record;
    let mut found = with_label(scope, &format!("{}={}", MANAGED_BY.0, MANAGED_BY.1)).await?;
    let says_so = |key: &Key, meta: &ObjectMeta| {
        ownership::is_ours(meta, &record.id)
            || (record.inventory.has(key) && ownership::is_labelled(meta, &record.id))
    };
    found.retain(|(key, meta)| says_so(key, meta) && !is_owned(meta));
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// The objects of this install that remain after a cleanup, with the reason if known. In a dry run, those that
/// would remain.
pub async fn left(scope: &Scope<'_>) -> Result<Vec<(ObjectId, Option<String>)>> {
    let stays = |(key, meta): &(Key, ObjectMeta)| match scope.choices.dry_run {
        true => {
            let is_deleted = meta
                .uid
                .as_ref()
                .is_some_and(|uid| scope.record.is_gone(uid));
            !is_deleted && !foreign::is_bookkeeping(key, meta, &scope.record.id)
        }
        false => {
            let finalizers = meta.finalizers.as_ref();
            meta.deletion_timestamp.is_none() || finalizers.is_some_and(|f| !f.is_empty())
        }
    };
    let found = labelled(scope).await?.into_iter().filter(stays);
    let left = found.map(|(key, meta)| (key.id(), why_foreign(scope, &key, &meta)));
    let mut left = left.collect::<Vec<_>>();
    left.sort();
    Ok(left)
}

/// Why an object with our name and labels counts as foreign.
fn why_foreign(scope: &Scope<'_>, key: &Key, meta: &ObjectMeta) -> Option<String> {
    let record = scope.record;
    if !record.inventory.has(key) || record.owns(key, meta) {
        return None;
    }
    let doubt = ownership::doubt(&key.kind, meta)?;
    Some(format!(
        "it carries the labels of this install, but {doubt}"
    ))
}

fn is_owned(meta: &ObjectMeta) -> bool {
    let owners = meta.owner_references.as_ref();
    owners.is_some_and(|owners| !owners.is_empty())
}

/// The result of listing all kinds.
#[derive(Default)]
struct Found {
    objects: Vec<(Key, ObjectMeta)>,
    unlistable: Vec<String>,
}

async fn walk(scope: &Scope<'_>, namespace: Option<&str>, params: ListParams) -> Result<Found> {
    let kinds = kinds(scope).await?;
    let kinds = kinds.into_iter().filter(|(kind, can)| {
        (namespace.is_none() || can.scope == Reach::Namespaced)
            && can.supports_operation(verbs::LIST)
            && can.supports_operation(verbs::DELETE)
            && kind.kind != EVENT
    });
    let lists = kinds.map(|(kind, _)| listed(scope, namespace, kind, &params));
    // Limit concurrency: a server may have hundreds of kinds.
    let lists = futures::stream::iter(lists).buffer_unordered(4);
    let all = lists.try_collect::<Vec<_>>().await?;
    let mut found = Found::default();
    for list in all {
        match list {
            Ok(objects) => found.objects.extend(objects),
            Err(unlistable) => found.unlistable.push(unlistable),
        }
    }
    found.unlistable.sort();
    Ok(found)
}

/// Discovers all kinds. Fails if the answer is incomplete, because a full namespace would then look empty.
async fn kinds(scope: &Scope<'_>) -> Result<Vec<(ApiResource, ApiCapabilities)>> {
    let client = &scope.cluster.client;
    let id = ObjectId::cluster_wide("kinds", "of the API server");
    let discovery = send(scope, &id, || {
        Discovery::new(client.clone()).run_aggregated()
    });
    let discovery = discovery.await?;
    let kinds = discovery
        .groups()
        .flat_map(|group| group.recommended_resources());
    let kinds = kinds.collect::<Vec<_>>();
    let is_named = |wanted: &&str| {
        kinds.iter().any(|(kind, can)| {
            kind.group.is_empty()
                && kind.kind == *wanted
                && can.scope == Reach::Namespaced
                && can.supports_operation(verbs::LIST)
        })
    };
    let missing = EVERYWHERE.into_iter().filter(|kind| !is_named(kind));
    let missing = missing.collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(kinds);
    }
    let cause = format!(
        "{}: {id}: its list of kinds lacks {}, which every API server has, so the contents of the cluster are unknown",
        scope.cluster.name,
        missing.join(", ")
    );
    Err(Problem::new(Exit::Unexpected, cause)
        .fix(format!(
            "check its answer, and any proxy in between: {} api-resources",
            scope.cluster.kubectl
        ))
        .into())
}

/// Lists one kind. The inner error says why it cannot be listed.
async fn listed(
    scope: &Scope<'_>,
    namespace: Option<&str>,
    kind: ApiResource,
    params: &ListParams,
) -> Result<Result<Vec<(Key, ObjectMeta)>, String>> {
    let client = scope.cluster.client.clone();
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    };
    let list = ObjectId::cluster_wide("list of", &kind.kind);
    let found = match send(scope, &list, || pages::list_metadata(&api, params)).await {
        Ok(found) => found,
        // Our own CRD, deleted since the discovery.
        Err(refusal) if refusal.is_missing() && kind.group == super::kinds::kiali().group => {
            return Ok(Ok(Vec::new()));
        }
        Err(refusal)
            if refusal
                .status()
                .is_some_and(|s| matches!(s.code, 403..=405)) =>
        {
            return Ok(Err(format!("{} ({})", kind.plural, refusal.text())));
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let named = found.into_iter().map(|object| {
        let meta = object.metadata;
        let key = Key {
            api_version: kind.api_version.clone(),
            kind: kind.kind.clone(),
            namespace: meta.namespace.clone(),
            name: meta.name.clone().unwrap_or_default(),
        };
        (key, meta)
    });
    Ok(Ok(named.collect()))
}
