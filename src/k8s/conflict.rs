//! Objects and fields of another tool, in words that name the tool and how to look at them.

use serde_json::Value;

use super::Scope;
use super::request::Refusal;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

/// A conflict names the other managers and the fields, in the server's words.
pub fn refused(scope: &Scope<'_>, id: &ObjectId, refusal: &Refusal) -> anyhow::Error {
    let causes = refusal
        .status()
        .and_then(|s| s.details.as_ref())
        .map(|d| d.causes.as_slice());
    let fields = causes
        .unwrap_or_default()
        .iter()
        .map(|c| format!("{} ({})", c.field, c.message));
    let fields = fields.collect::<Vec<_>>();
    let cause = match fields.as_slice() {
        [] => format!("{}: {id}: {}", scope.cluster.name, refusal.text()),
        fields => format!(
            "{}: {id} is managed by another tool: {}",
            scope.cluster.name,
            fields.join(", ")
        ),
    };
    Problem::new(Exit::Conflict, cause)
        .fix(show(scope, id))
        .into()
}

/// An object that is not ours and does not serve as it is.
pub fn foreign(scope: &Scope<'_>, id: &ObjectId, live: &Value, field: &str) -> Problem {
    let managers = live["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten();
    // Who writes its status did not make it.
    let mut managers = managers
        .filter(|m| m["subresource"].is_null())
        .filter_map(|m| m["manager"].as_str())
        .collect::<Vec<_>>();
    managers.sort_unstable();
    managers.dedup();
    let by = if managers.is_empty() {
        "another tool".into()
    } else {
        managers.join(", ")
    };
    Problem::new(
        Exit::Conflict,
        format!(
            "{}: {id} is there already, made by {by}, and differs from what is needed at {field}; it was left as it is",
            scope.cluster.name
        ),
    )
    .fix(show(scope, id))
}

fn show(scope: &Scope<'_>, id: &ObjectId) -> String {
    let namespace = id
        .namespace
        .as_ref()
        .map(|n| format!(" -n {n}"))
        .unwrap_or_default();
    let kind = id.kind.to_lowercase();
    format!(
        "kubectl --context {}{namespace} get {kind} {} -o yaml --show-managed-fields",
        scope.cluster.context, id.name
    )
}
