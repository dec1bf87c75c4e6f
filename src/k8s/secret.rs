//! The values of Secrets as they are in a cluster.

use anyhow::Result;
use serde_json::{Value, json};

use super::{Scope, kinds, write};
use crate::progress::ObjectId;

/// A Secret; None if there is none of that name.
pub async fn live(scope: &Scope<'_>, id: &ObjectId) -> Result<Option<Value>> {
    let metadata = json!({"namespace": id.namespace, "name": id.name});
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata});
    write::read(scope, &object, id).await
}

/// Gives the manifest of a Secret these values of the Secret that is there. Returns the latter.
pub async fn keep(
    scope: &Scope<'_>,
    secret: &mut Value,
    names: &[String],
) -> Result<Option<Value>> {
    let live = live(scope, &kinds::id(secret)?).await?;
    let data = live.as_ref().map(|live| &live["data"]);
    for name in names {
        if let Some(value) = data.and_then(|data| data.get(name)) {
            secret["data"][name] = value.clone();
        }
    }
    Ok(live)
}
