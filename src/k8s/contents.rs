//! Walks over every kind the server knows: what a namespace holds that nobody here made, because it
//! takes all of it along when it goes, and what is left of ours after a cleanup, which must not
//! trust the list it worked from.

use anyhow::Result;
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use kube::discovery::{Discovery, Scope as Reach, verbs};

use super::request::send;
use super::{MANAGED_BY, Scope};
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
        .filter(|(id, meta)| {
            let given = GIVEN.contains(&(id.kind.as_str(), id.name.as_str()));
            !is_ours(meta) && !given && !follows(meta)
        })
        .map(|(id, _)| id)
        .collect::<Vec<_>>();
    foreign.sort();
    Ok(foreign)
}

/// Objects of any namespace that carry our label.
pub async fn ours(scope: &Scope<'_>) -> Result<Vec<ObjectId>> {
    let labelled = ListParams::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    let found = walk(scope, None, labelled).await?;
    let mut ours = found
        .into_iter()
        .filter(|(_, meta)| !follows(meta))
        .map(|(id, _)| id)
        .collect::<Vec<_>>();
    ours.sort();
    Ok(ours)
}

fn is_ours(meta: &ObjectMeta) -> bool {
    meta.labels
        .as_ref()
        .and_then(|l| l.get(MANAGED_BY.0))
        .is_some_and(|v| v == MANAGED_BY.1)
}

/// Goes with its owner, or is going.
fn follows(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some()
        || meta
            .owner_references
            .as_ref()
            .is_some_and(|o| !o.is_empty())
}

async fn walk(
    scope: &Scope<'_>,
    namespace: Option<&str>,
    params: ListParams,
) -> Result<Vec<(ObjectId, ObjectMeta)>> {
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
    let lists = kinds.map(|(kind, _)| {
        let params = &params;
        async move {
            let api = match namespace {
                Some(namespace) => {
                    Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &kind)
                }
                None => Api::all_with(client.clone(), &kind),
            };
            let list = ObjectId::cluster_wide("list of", &kind.kind);
            let found = send(scope, &list, || api.list_metadata(params)).await;
            (kind.kind, found)
        }
    });
    // Few at a time: a server with hundreds of kinds must not be flooded.
    let mut lists = futures::stream::iter(lists).buffer_unordered(4);
    let mut all = Vec::new();
    while let Some((kind, found)) = lists.next().await {
        let found = match found {
            Ok(found) => found.items,
            // A kind that may not even be listed holds nothing that we wrote.
            Err(refusal)
                if refusal
                    .status()
                    .is_some_and(|s| matches!(s.code, 403..=405)) =>
            {
                continue;
            }
            Err(refusal) => return Err(refusal.into()),
        };
        all.extend(found.into_iter().map(|object| {
            let meta = object.metadata;
            let id = ObjectId {
                kind: kind.clone(),
                namespace: meta.namespace.clone(),
                name: meta.name.clone().unwrap_or_default(),
            };
            (id, meta)
        }));
    }
    Ok(all)
}
