//! What admission policies and webhooks make of an apply. An install neither writes again what they would change back,
//! nor is silent about it.

use anyhow::Result;
use serde_json::Value;

use crate::k8s::additions::{self, Additions};
use crate::k8s::difference::difference;
use crate::k8s::write::{Force, ask};
use crate::k8s::{Scope, change, kinds, ownership};

/// Whether an apply would change nothing, because admission would change the object in the same way again.
pub async fn keeps(scope: &Scope<'_>, wanted: &Value, live: &Value) -> Result<bool> {
    // A real write reports why it is refused.
    let Ok(stored) = ask(scope, wanted, Force::No).await? else {
        return Ok(false);
    };
    let ours = ownership::applied_fields;
    Ok(change::fields(live, &stored).is_empty() && ours(live) == ours(&stored))
}

/// Reports fields that admission changed in an object of ours. Writing again would not help.
pub fn report(
    scope: &Scope<'_>,
    wanted: &Value,
    written: &Value,
    added: Option<&Additions>,
) -> Result<()> {
    let back = added.and_then(|added| added.still_in(written));
    let changed = additions::changed(wanted, written);
    let told = match (difference(wanted, written), back) {
        _ if !changed.is_empty() => format!("changes {}", additions::listed(&changed)),
        (Some(field), _) => format!("changes {field}"),
        (None, Some(field)) => format!("adds {field}"),
        (None, None) => return Ok(()),
    };
    let id = kinds::id(wanted)?;
    scope.progress.note(format!(
        "{id}: an admission policy or webhook of the cluster {told}; left so"
    ));
    Ok(())
}
