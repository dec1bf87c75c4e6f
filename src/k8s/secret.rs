//! The values of Secrets as they are in a cluster.

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::Value;

use super::request::send_opt;
use super::{Scope, kinds};
use crate::progress::ObjectId;

/// A Secret; None if there is none of that name.
pub async fn live(scope: &Scope<'_>, id: &ObjectId) -> Result<Option<Value>> {
    let namespace = id.namespace.as_deref().unwrap_or_default();
    let api = Api::<Secret>::namespaced(scope.cluster.client.clone(), namespace);
    let live = send_opt(scope, id, || api.get(&id.name)).await?;
    Ok(live.map(serde_json::to_value).transpose()?)
}

/// Gives the manifest of a Secret these values of the Secret that is there.
pub async fn keep(scope: &Scope<'_>, secret: &mut Value, names: &[String]) -> Result<()> {
    let live = live(scope, &kinds::id(secret)?).await?.unwrap_or_default();
    for name in names {
        if let Some(value) = live["data"].get(name) {
            secret["data"][name] = value.clone();
        }
    }
    Ok(())
}
