//! Errors about objects and fields that another tool manages. They name the tool and a command to inspect it.

use serde_json::Value;

use super::request::RequestError;
use super::{FIELD_MANAGER, Scope, ownership};
use crate::mesh::Cluster;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::shell::quoted;

/// The error for a field conflict, with the managers and fields as the server reports them.
pub fn refused(scope: &Scope<'_>, id: &ObjectId, refusal: &RequestError) -> anyhow::Error {
    let fields = refusal
        .causes()
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
        .fix(ways_out(scope, id))
        .into()
}

/// The error for a foreign object that does not meet our needs.
pub fn foreign(scope: &Scope<'_>, id: &ObjectId, live: &Value, field: &str) -> Problem {
    let cause = differs(scope, live, field);
    let cause = format!("{}: {id} {cause}; it was not changed", scope.cluster.name);
    Problem::new(Exit::Conflict, cause).fix(ways_out_of(scope, id, live))
}

/// How to inspect or remove a foreign object.
pub fn ways_out_of(scope: &Scope<'_>, id: &ObjectId, live: &Value) -> String {
    match is_leftover(scope, live) {
        true => format!(
            "if no install uses it any more, remove it: {}",
            kubectl(scope, "delete", id)
        ),
        false => ways_out(scope, id),
    }
}

/// Whether only ambikiali managed it, and its labels are gone, so that no cleanup found it.
fn is_leftover(scope: &Scope<'_>, live: &Value) -> bool {
    ownership::lacks_labels(&ownership::meta(live), &scope.record.id) && managers(live).is_empty()
}

/// Describes who created the object and which field differs.
pub fn differs(scope: &Scope<'_>, live: &Value, field: &str) -> String {
    let by = others(scope, live);
    format!("already exists, created by {by}, and differs from what is needed at {field}")
}

/// The error for a foreign object whose name we need. Such an object cannot be shared.
pub fn name_taken(cluster: &Cluster, id: &ObjectId) -> Problem {
    let ObjectId {
        kind,
        namespace,
        name,
    } = id;
    Problem::new(
        Exit::Conflict,
        format!(
            "{}: {id} already exists and was not created by ambikiali, which needs its name; it was not changed",
            cluster.name
        ),
    )
    .fix(format!(
        "choose another namespace with --namespace, or inspect it: {} -n {} get {} {name} -o yaml",
        cluster.kubectl,
        namespace.as_deref().unwrap_or_default(),
        kind.to_lowercase()
    ))
}

/// The other field managers of an object, for messages.
fn others(scope: &Scope<'_>, live: &Value) -> String {
    match managers(live).as_slice() {
        [] if is_leftover(scope, live) => "an install of ambikiali whose labels it has lost".into(),
        [] => "another tool".into(),
        names => names.join(", "),
    }
}

/// The other field managers of an object.
fn managers(live: &Value) -> Vec<String> {
    let meta = ownership::meta(live);
    let names = ownership::managers(&meta).filter_map(|entry| entry.manager.clone());
    let mut names = names
        .filter(|name| name != FIELD_MANAGER)
        .collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    names
}

/// The managers of the conflicting fields, as in " by kubectl-edit".
pub fn by(refusal: &RequestError) -> String {
    let causes = refusal.causes();
    let mut names = causes
        .iter()
        .filter_map(|cause| named(&cause.message))
        .collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    match names.is_empty() {
        true => String::new(),
        false => format!(" by {}", names.join(", ")),
    }
}

/// The manager in a conflict message, as in `conflict with "kubectl-edit" using v1 at ...`.
fn named(message: &str) -> Option<&str> {
    message.split('"').nth(1)
}

/// Whether all conflicting fields were set by us, with a merge patch.
pub fn is_with_ourselves(refusal: &RequestError) -> bool {
    let causes = refusal.causes();
    let mut all = causes.iter().map(|cause| named(&cause.message));
    !causes.is_empty() && all.all(|by| by == Some(FIELD_MANAGER))
}

/// Whether all conflicting fields were set by updates of a client, such as kubectl edit. A tool that applies, or a
/// controller that scales, manages its fields permanently.
pub fn is_by_hand(live: &Value, refusal: &RequestError) -> bool {
    let causes = refusal.causes();
    let meta = ownership::meta(live);
    let entries = meta.managed_fields.unwrap_or_default();
    let once = |manager: &str| {
        let mut theirs = entries
            .iter()
            .filter(|e| e.manager.as_deref() == Some(manager))
            .peekable();
        theirs.peek().is_some()
            && theirs.all(|e| e.operation.as_deref() == Some("Update") && e.subresource.is_none())
    };
    !causes.is_empty()
        && causes
            .iter()
            .all(|cause| named(&cause.message).is_some_and(once))
}

/// How to inspect the object, and how to take it over.
fn ways_out(scope: &Scope<'_>, id: &ObjectId) -> String {
    if gives_rights(&id.kind) {
        return format!(
            "inspect it: {}; it grants rights to its owner's programs, so ambikiali never changes it: ask its owner to rename or \
             remove it, or, if it belongs to a Prometheus, scrape that one: --prometheusN HOST:PORT",
            show(scope, id)
        );
    }
    format!(
        "inspect it: {}; to take over these fields, add --force-conflicts to install",
        show(scope, id)
    )
}

/// Taking over a role or binding would take rights from other programs.
pub fn gives_rights(kind: &str) -> bool {
    ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"].contains(&kind)
}

fn show(scope: &Scope<'_>, id: &ObjectId) -> String {
    let get = kubectl(scope, "get", id);
    format!("{get} -o yaml --show-managed-fields")
}

fn kubectl(scope: &Scope<'_>, verb: &str, id: &ObjectId) -> String {
    let namespace = id
        .namespace
        .as_ref()
        .map(|n| format!(" -n {n}"))
        .unwrap_or_default();
    let kind = id.kind.to_lowercase();
    format!(
        "{}{namespace} {verb} {kind} {}",
        scope.cluster.kubectl,
        quoted(&id.name)
    )
}
