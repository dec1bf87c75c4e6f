//! Walks over every kind the server knows: what a namespace holds that nobody here made, because it
//! takes all of it along when it goes; what carries our labels when a record is lost; and what is left
//! of ours after a cleanup, which must not trust the record it worked from.

mod holds;

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

/// Every API server has them in every namespace; a list of kinds without them is not one.
const EVERYWHERE: [&str; 5] = ["ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"];
/// About other objects, and of no worth without them.
const PASSING: &str = "Event";
/// The garbage collector comes to what belonged to something that is gone.
const COLLECTED: Duration = Duration::from_secs(30);

/// What is in a namespace beside what is ours, as far as it can be known.
#[derive(Debug, Default)]
pub struct Held {
    pub foreign: Vec<ObjectId>,
    /// Kinds that cannot be listed, and why: what there is of them is not known.
    pub unseen: Vec<String>,
}

/// Looked at until all that goes by itself is gone.
pub async fn of_namespace(scope: &Scope<'_>, namespace: &str) -> Result<Held> {
    let patience = match scope.choices.dry_run {
        true => Duration::ZERO,
        false => COLLECTED,
    };
    let look = async || {
        let found = walk(scope, Some(namespace), ListParams::default()).await?;
        let stays = holds::staying(scope, &found.objects);
        let foreign = stays.iter().map(|(key, _)| key.id()).collect::<Vec<_>>();
        // Only what has an owner may go without anybody's doing.
        let may_go = !stays.is_empty() && stays.iter().all(|(_, meta)| is_owned(meta));
        let held = Held {
            foreign,
            unseen: found.unseen,
        };
        anyhow::Ok((held, may_go))
    };
    let mut held = wait::settled(scope, patience, look).await?;
    held.foreign.sort();
    Ok(held)
}

/// Objects of any namespace and kind.
pub async fn with_label(scope: &Scope<'_>, label: &str) -> Result<Vec<(Key, ObjectMeta)>> {
    let found = walk(scope, None, ListParams::default().labels(label)).await?;
    Ok(found.objects)
}

/// Objects of any namespace that this install made, by what they say of themselves; and those of names of
/// ours that only carry its labels.
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

/// What of it is still there, and does not go by itself, and why it was left where that is known. In a dry
/// run, what would be.
pub async fn left(scope: &Scope<'_>) -> Result<Vec<(ObjectId, Option<String>)>> {
    let stays = |(key, meta): &(Key, ObjectMeta)| match scope.choices.dry_run {
        true => {
            let goes = meta
                .uid
                .as_ref()
                .is_some_and(|uid| scope.record.is_gone(uid));
            !goes && !holds::is_bookkeeping(key, meta, &scope.record.id)
        }
        false => {
            let finalizers = meta.finalizers.as_ref();
            meta.deletion_timestamp.is_none() || finalizers.is_some_and(|f| !f.is_empty())
        }
    };
    let found = labelled(scope).await?.into_iter().filter(stays);
    let left = found.map(|(key, meta)| (key.id(), unrecognised(scope, &key, &meta)));
    let mut left = left.collect::<Vec<_>>();
    left.sort();
    Ok(left)
}

/// Why one of a name of ours counts as somebody else's, whatever its labels say.
fn unrecognised(scope: &Scope<'_>, key: &Key, meta: &ObjectMeta) -> Option<String> {
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

/// What a walk came upon.
#[derive(Default)]
struct Found {
    objects: Vec<(Key, ObjectMeta)>,
    unseen: Vec<String>,
}

async fn walk(scope: &Scope<'_>, namespace: Option<&str>, params: ListParams) -> Result<Found> {
    let kinds = kinds(scope).await?;
    let kinds = kinds.into_iter().filter(|(kind, can)| {
        (namespace.is_none() || can.scope == Reach::Namespaced)
            && can.supports_operation(verbs::LIST)
            && can.supports_operation(verbs::DELETE)
            && kind.kind != PASSING
    });
    let lists = kinds.map(|(kind, _)| listed(scope, namespace, kind, &params));
    // Few at a time: a server with hundreds of kinds must not be flooded.
    let lists = futures::stream::iter(lists).buffer_unordered(4);
    let all = lists.try_collect::<Vec<_>>().await?;
    let mut found = Found::default();
    for list in all {
        match list {
            Ok(objects) => found.objects.extend(objects),
            Err(unseen) => found.unseen.push(unseen),
        }
    }
    found.unseen.sort();
    Ok(found)
}

/// An answer that does not name what every server has would make a full namespace look empty.
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
        "{}: {id}: its list of kinds does not name {}, which every API server has, so what is in the cluster is not known",
        scope.cluster.name,
        missing.join(", ")
    );
    Err(Problem::new(Exit::Unexpected, cause)
        .fix(format!(
            "look at what it answers, and what is between: {} api-resources",
            scope.cluster.kubectl
        ))
        .into())
}

/// Err: why it cannot be listed.
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
        // Ours, and gone a moment ago.
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
