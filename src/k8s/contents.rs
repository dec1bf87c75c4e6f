//! Walks over every kind the server knows: what a namespace holds that nobody here made, because it
//! takes all of it along when it goes; what carries our labels when a record is lost; and what is left
//! of ours after a cleanup, which must not trust the record it worked from.

use anyhow::Result;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject};
use kube::discovery::{Discovery, Scope as Reach, verbs};

use super::ownership::{self, MANAGED_BY};
use super::record::Key;
use super::request::send;
use super::{Scope, pages};
use crate::progress::ObjectId;

/// What every namespace is given by the control plane or the mesh.
const GIVEN: [(&str, &str); 4] = [
    ("ServiceAccount", "default"),
    ("ConfigMap", "kube-root-ca.crt"),
    ("ConfigMap", "istio-ca-root-cert"),
    ("ConfigMap", "istio-ca-crl"),
];
/// Kinds that only follow from other objects.
const PASSING: [&str; 4] = ["Event", "EndpointSlice", "Endpoints", "Lease"];

/// Objects in a namespace that are neither ours, nor given, nor owned by another object.
pub async fn of_namespace(scope: &Scope<'_>, namespace: &str) -> Result<Vec<ObjectId>> {
    let found = walk(scope, Some(namespace), ListParams::default()).await?;
    let mut foreign = found
        .into_iter()
        .filter(|(key, meta)| {
            let given = GIVEN.contains(&(key.kind.as_str(), key.name.as_str()));
            let goes = is_owned(meta) || meta.deletion_timestamp.is_some();
            !ownership::is_ours(meta, &scope.record.id) && !given && !goes
        })
        .map(|(key, _)| key.id())
        .collect::<Vec<_>>();
    foreign.sort();
    Ok(foreign)
}

/// Objects of any namespace and kind.
pub async fn with_label(scope: &Scope<'_>, label: &str) -> Result<Vec<(Key, ObjectMeta)>> {
    walk(scope, None, ListParams::default().labels(label)).await
}

/// Objects of any namespace that this install made, by what they say of themselves.
pub async fn labelled(scope: &Scope<'_>) -> Result<Vec<(Key, ObjectMeta)>> {
    let mut found = with_label(scope, &format!("{}={}", MANAGED_BY.0, MANAGED_BY.1)).await?;
    found.retain(|(_, meta)| ownership::is_ours(meta, &scope.record.id) && !is_owned(meta));
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// What of it is still there, and does not go by itself.
pub async fn left(scope: &Scope<'_>) -> Result<Vec<ObjectId>> {
    let stays = |meta: &ObjectMeta| {
        meta.deletion_timestamp.is_none() || meta.finalizers.as_ref().is_some_and(|f| !f.is_empty())
    };
    let found = labelled(scope).await?.into_iter();
    let left = found.filter(|(_, meta)| stays(meta));
    let mut left = left.map(|(key, _)| key.id()).collect::<Vec<_>>();
    left.sort();
    Ok(left)
}

fn is_owned(meta: &ObjectMeta) -> bool {
    let owners = meta.owner_references.as_ref();
    owners.is_some_and(|owners| !owners.is_empty())
}

async fn walk(
    scope: &Scope<'_>,
    namespace: Option<&str>,
    params: ListParams,
) -> Result<Vec<(Key, ObjectMeta)>> {
    let client = &scope.cluster.client;
    let kinds = ObjectId::cluster_wide("kinds", "of the API server");
    let discovery = send(scope, &kinds, || {
        Discovery::new(client.clone()).run_aggregated()
    });
    let discovery = discovery.await?;
    let kinds = discovery
        .groups()
        .flat_map(|group| group.recommended_resources());
    let kinds = kinds.filter(|(kind, can)| {
        (namespace.is_none() || can.scope == Reach::Namespaced)
            && can.supports_operation(verbs::LIST)
            && !PASSING.contains(&kind.kind.as_str())
    });
    let lists = kinds.map(|(kind, _)| listed(scope, namespace, kind, &params));
    // Few at a time: a server with hundreds of kinds must not be flooded.
    let lists = futures::stream::iter(lists).buffer_unordered(4);
    let all = lists.try_collect::<Vec<_>>().await?;
    Ok(all.into_iter().flatten().collect())
}

async fn listed(
    scope: &Scope<'_>,
    namespace: Option<&str>,
    kind: ApiResource,
    params: &ListParams,
) -> Result<Vec<(Key, ObjectMeta)>> {
    let client = scope.cluster.client.clone();
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &kind),
        None => Api::all_with(client, &kind),
    };
    let list = ObjectId::cluster_wide("list of", &kind.kind);
    let found = match send(scope, &list, || pages::list_metadata(&api, params)).await {
        Ok(found) => found,
        // A kind that may not even be listed holds nothing that we wrote.
        Err(refusal)
            if refusal
                .status()
                .is_some_and(|s| matches!(s.code, 403..=405)) =>
        {
            return Ok(Vec::new());
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
    Ok(named.collect())
}
