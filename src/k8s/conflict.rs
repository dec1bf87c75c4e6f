//! Objects and fields of another tool, in words that name the tool and how to look at them.

use serde_json::Value;

use super::request::Refusal;
use super::{FIELD_MANAGER, Scope, ownership};
use crate::mesh::Cluster;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::shell::quoted;

/// A conflict names the other managers and the fields, in the server's words.
pub fn refused(scope: &Scope<'_>, id: &ObjectId, refusal: &Refusal) -> anyhow::Error {
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

/// An object that is not ours and does not serve as it is.
pub fn foreign(scope: &Scope<'_>, id: &ObjectId, live: &Value, field: &str) -> Problem {
    let cause = differs(live, field);
    let cause = format!("{}: {id} {cause}; it was left as it is", scope.cluster.name);
    Problem::new(Exit::Conflict, cause).fix(ways_out(scope, id))
}

/// Whose it is and where it is not what is needed.
pub fn differs(live: &Value, field: &str) -> String {
    let by = others(live);
    format!("is there already, made by {by}, and differs from what is needed at {field}")
}

/// What is kept under this name is of use to nobody but us: it cannot be shared.
pub fn name_taken(cluster: &Cluster, id: &ObjectId) -> Problem {
    let ObjectId {
        kind,
        namespace,
        name,
    } = id;
    Problem::new(
        Exit::Conflict,
        format!(
            "{}: {id} is there already and not made by ambikiali, which needs its name; it was left as it is",
            cluster.name
        ),
    )
    .fix(format!(
        "choose another namespace with --namespace, or look at it: {} -n {} get {} {name} -o yaml",
        cluster.kubectl,
        namespace.as_deref().unwrap_or_default(),
        kind.to_lowercase()
    ))
}

/// Who else set fields, for people.
fn others(live: &Value) -> String {
    let meta = ownership::meta(live);
    let names = ownership::managers(&meta).filter_map(|entry| entry.manager.as_deref());
    let mut names = names
        .filter(|name| *name != FIELD_MANAGER)
        .collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => "another tool".into(),
        names => names.join(", "),
    }
}

/// " by kubectl-edit": who set what is in the way.
pub fn by(refusal: &Refusal) -> String {
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

/// `conflict with "kubectl-edit" using v1 at ...`: the name is what stands in quotes.
fn named(message: &str) -> Option<&str> {
    message.split('"').nth(1)
}

/// Whether all that is in the way was set once, by a person with a client; a tool that applies, or a
/// controller that scales, has a claim of its own.
pub fn is_by_hand(live: &Value, refusal: &Refusal) -> bool {
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

/// How to look at it, and how to have it anyway.
pub fn ways_out(scope: &Scope<'_>, id: &ObjectId) -> String {
    if gives_rights(&id.kind) {
        return format!(
            "look at it: {}; it gives its owner's programs their rights, so ambikiali never changes it: have it renamed or \
             removed by its owner, or, if it is there for a Prometheus, have that one scraped: --prometheusN HOST:PORT",
            show(scope, id)
        );
    }
    format!(
        "look at it: {}; to take these fields all the same, add --force-conflicts to install",
        show(scope, id)
    )
}

/// Whoever takes a role or a binding over takes rights from somebody else's programs.
pub fn gives_rights(kind: &str) -> bool {
    ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"].contains(&kind)
}

fn show(scope: &Scope<'_>, id: &ObjectId) -> String {
    let namespace = id
        .namespace
        .as_ref()
        .map(|n| format!(" -n {n}"))
        .unwrap_or_default();
    let kind = id.kind.to_lowercase();
    format!(
        "{}{namespace} get {kind} {} -o yaml --show-managed-fields",
        scope.cluster.kubectl,
        quoted(&id.name)
    )
}
