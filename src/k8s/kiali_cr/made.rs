//! The objects that the operator creates for a CR. The operator does not watch them: a deleted object is not
//! restored until the CR changes or is touched.

use anyhow::Result;
use futures::future::join_all;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use k8s_openapi::jiff::SignedDuration;
use kube::Api;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::k8s::apply::Applied;
use crate::k8s::health::{Health, Kiali, KialiFence};
use crate::k8s::look::Component;
use crate::k8s::request::{RequestError, send_opt};
use crate::k8s::{Scope, kinds, write};
use crate::progress::ObjectId;
use crate::visible;

const NAME: &str = "kiali";
/// The account of Kiali, as the operator names it.
pub const ACCOUNT: &str = "kiali-service-account";
const SIGNING_KEY: &str = "kiali-signing-key";
/// The roles that the operator binds the account to: one that may write, and one that may not.
const WRITER: &str = "kiali";
const VIEWER: &str = "kiali-viewer";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// The state of one of these objects.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Gone,
    There,
    /// A binding that also grants its rights to these subjects, which the operator did not add.
    Shared(String),
    /// A binding to another role than the one that the install asks for.
    Other(String),
}

/// Whether this apply makes the operator bind Kiali anew, as after each change of the login or of what Kiali may. The
/// role of a binding cannot be changed, so the operator deletes the binding and the roles first, and Kiali lacks all
/// rights until it has made them anew.
pub fn changes_role(applied: &Applied) -> bool {
    let before = applied.before.as_ref();
    let asks = |cr: &Value| {
        let spec = &cr["spec"];
        let strategy = spec["auth"]["strategy"].clone();
        (spec["deployment"]["view_only_mode"] == true, strategy)
    };
    before.is_some_and(|before| asks(before) != asks(&applied.live))
}

/// Whether the operator binds the account of this CR to the role that only looks. Behind a login it always does.
fn views(cr: &Value) -> bool {
    let spec = &cr["spec"];
    spec["deployment"]["view_only_mode"] == true || spec["auth"]["strategy"] != "anonymous"
}

/// For how long the operator's binding has existed, by the server's clock; None if that is not known.
pub async fn bound_for(scope: &Scope<'_>) -> Option<SignedDuration> {
    let api = Api::<ClusterRoleBinding>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("ClusterRoleBinding", NAME);
    let binding = send_opt(scope, &object, || api.get(NAME)).await.ok()??;
    let made = binding.metadata.creation_timestamp?.0;
    Some(scope.cluster.server_time()?.duration_since(made))
}

/// Objects that are missing although the operator had reconciled the CR. It does not restore them by itself.
pub async fn lacking(scope: &Scope<'_>, applied: &Applied) -> Result<Vec<ObjectId>> {
    let before = applied.before.as_ref().filter(|before| is_done(before));
    let Some(before) = before.filter(|_| !changes_role(applied)) else {
        return Ok(Vec::new());
    };
    let mut lacking = Vec::new();
    for (object, there) in read_all(scope, is_remote(before)).await {
        if there? == Found::Gone {
            lacking.push(object);
        }
    }
    Ok(lacking)
}

/// The same for `status`, without Kiali's Deployment, which has a line of its own, and with bindings that grant
/// rights to others.
pub async fn missing(scope: &Scope<'_>, remote: bool) -> Vec<Component> {
    let (all, binding) = tokio::join!(read_all(scope, remote), role_binding(scope));
    let all = all.into_iter().chain(binding).collect::<Vec<_>>();
    let is_other = all
        .iter()
        .any(|(_, found)| matches!(found, Ok(Found::Other(_))));
    let unmoved = if is_other {
        is_unmoved(scope).await
    } else {
        None
    };
    // Without a record, only the CR says what was asked for.
    let unrecorded = scope.record.stored_options().is_none();
    let all = all.into_iter();
    let others = all.filter(|(object, _)| object.kind != "Deployment");
    others
        .filter_map(|(object, there)| {
            let health = match there {
                Ok(Found::There) => return None,
                Ok(Found::Gone) => Health::Failed(
                    "missing, and the operator does not restore it: run install again".into(),
                ),
                Ok(Found::Shared(others)) => Health::Failed(format!(
                    "also grants Kiali's rights to {others}, which the operator does not revert: {}",
                    command(scope, "edit", &object)
                )),
                Ok(Found::Other(_)) if unmoved == Some(true) && unrecorded => return None,
                Ok(Found::Other(role)) if unmoved == Some(true) => Health::Failed(format!(
                    "binds Kiali to {role}, as its CR asks, in place of {}: run install again",
                    asked(scope)
                )),
                Ok(Found::Other(role)) => Health::Failed(format!(
                    "binds Kiali to {role} in place of {}: {}, then run install again",
                    asked(scope),
                    command(scope, "delete", &object)
                )),
                Err(refusal) => Health::Failed(refusal.text()),
            };
            Some(Component::new(object, health))
        })
        .collect()
}

/// Adds the missing objects if the CR, the first component, is ready. Before that, objects may be missing.
pub fn with_missing(mut components: Vec<Component>, missing: Vec<Component>) -> Vec<Component> {
    let done = components.first().map(|cr| &cr.health) == Some(&Health::Ready);
    components.extend(missing.into_iter().filter(|_| done));
    components
}

/// Reports the objects that the operator will recreate.
pub fn report_missing(scope: &Scope<'_>, lacking: &[ObjectId]) {
    for object in lacking {
        let note = format!("{object} is missing; the operator will recreate it");
        scope.progress.note(note);
    }
}

/// Whether Kiali's rights are among them. Kiali does not recover from a loss of these without a restart.
pub fn is_for_rights(lacking: &[ObjectId]) -> bool {
    let rights = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding"];
    lacking
        .iter()
        .any(|object| rights.contains(&object.kind.as_str()))
}

fn is_done(cr: &Value) -> bool {
    let cr = serde_json::from_value::<Kiali>(cr.clone());
    cr.is_ok_and(|cr| KialiFence::default().judge(Some(&cr)) == Health::Ready)
}

fn is_remote(cr: &Value) -> bool {
    cr["spec"]["deployment"]["remote_cluster_resources_only"] == true
}

async fn read_all(scope: &Scope<'_>, remote: bool) -> Vec<(ObjectId, Result<Found, RequestError>)> {
    let core = |kind, name| ("v1", kind, name);
    let mut needed = vec![core("ServiceAccount", ACCOUNT), core("ConfigMap", NAME)];
    if !remote {
        needed.push(core("Secret", SIGNING_KEY));
        needed.push(core("Service", NAME));
        needed.push(("apps/v1", "Deployment", NAME));
    }
    let namespaced = needed.into_iter().map(async |(version, kind, name)| {
        let object = ObjectId::new(kind, scope.namespace, name);
        let there = is_there(scope, version, &object).await;
        (object, there)
    });
    let (namespaced, rights) = tokio::join!(join_all(namespaced), cluster_role_binding(scope));
    namespaced.into_iter().chain(rights).collect()
}

/// The ClusterRoleBinding and the ClusterRole that it refers to.
async fn cluster_role_binding(scope: &Scope<'_>) -> Vec<(ObjectId, Result<Found, RequestError>)> {
    let api = Api::<ClusterRoleBinding>::all(scope.cluster.client.clone());
    let object = ObjectId::cluster_wide("ClusterRoleBinding", NAME);
    let binding = match send_opt(scope, &object, || api.get(NAME)).await {
        Ok(Some(binding)) => binding,
        Ok(None) => return vec![(object, Ok(Found::Gone))],
        Err(refusal) => return vec![(object, Err(refusal))],
    };
    let role = ObjectId::cluster_wide("ClusterRole", &binding.role_ref.name);
    let there = is_there(scope, RBAC, &role).await;
    vec![
        (
            object,
            Ok(granted(
                scope,
                &binding.role_ref,
                binding.subjects.as_deref(),
            )),
        ),
        (role, there),
    ]
}

/// The RoleBinding in Kiali's namespace. Not every operator creates it, and not every user may read it.
async fn role_binding(scope: &Scope<'_>) -> Option<(ObjectId, Result<Found, RequestError>)> {
    let api = Api::<RoleBinding>::namespaced(scope.cluster.client.clone(), scope.namespace);
    let object = ObjectId::new("RoleBinding", scope.namespace, NAME);
    let binding = send_opt(scope, &object, || api.get(NAME)).await.ok()??;
    let granted = granted(scope, &binding.role_ref, binding.subjects.as_deref());
    Some((object, Ok(granted)))
}

/// The role that the install asks for.
fn asked(scope: &Scope<'_>) -> &'static str {
    match scope.settings.account_writes() {
        true => WRITER,
        false => VIEWER,
    }
}

/// Whether the CR still asks for the other role, as before the first install that made Kiali view-only.
async fn is_unmoved(scope: &Scope<'_>) -> Option<bool> {
    let object = json!({
        "apiVersion": "kiali.io/v1alpha1", "kind": "Kiali",
        "metadata": {"name": NAME, "namespace": scope.namespace},
    });
    let id = ObjectId::new("Kiali", scope.namespace, NAME);
    let cr = write::read(scope, &object, &id).await.ok()??;
    Some(views(&cr) == scope.settings.account_writes())
}

/// Judges the role and the subjects of a binding.
fn granted(scope: &Scope<'_>, role: &RoleRef, subjects: Option<&[Subject]>) -> Found {
    if role.name != asked(scope) {
        let role = format!("{} {}", role.kind, role.name);
        return Found::Other(visible::short(&role, visible::SAID).into_owned());
    }
    let others = others(scope.namespace, subjects.unwrap_or_default());
    match others.is_empty() {
        true => Found::There,
        false => Found::Shared(visible::short(&others.join(", "), visible::SAID).into_owned()),
    }
}

/// All subjects except Kiali's own ServiceAccount.
fn others(namespace: &str, subjects: &[Subject]) -> Vec<String> {
    let is_kialis = |subject: &&Subject| {
        subject.kind == "ServiceAccount"
            && subject.name == ACCOUNT
            && subject.namespace.as_deref() == Some(namespace)
    };
    let others = subjects.iter().filter(|subject| !is_kialis(subject));
    others
        .map(
            |Subject {
                 kind,
                 name,
                 namespace,
                 ..
             }| match namespace {
                Some(namespace) => format!("{kind} {namespace}/{name}"),
                None => format!("{kind} {name}"),
            },
        )
        .collect()
}

fn command(scope: &Scope<'_>, verb: &str, binding: &ObjectId) -> String {
    let kubectl = &scope.cluster.kubectl;
    let kind = binding.kind.to_lowercase();
    let namespace = binding.namespace.as_ref().map(|name| format!(" -n {name}"));
    let namespace = namespace.unwrap_or_default();
    format!("{kubectl}{namespace} {verb} {kind} {}", binding.name)
}

async fn is_there(
    scope: &Scope<'_>,
    api_version: &str,
    object: &ObjectId,
) -> Result<Found, RequestError> {
    let named = json!({
        "apiVersion": api_version, "kind": object.kind,
        "metadata": {"name": object.name, "namespace": object.namespace},
    });
    if let Some(Some(_)) = scope.seen(&named) {
        return Ok(Found::There);
    }
    let client = &scope.cluster.client;
    // Built-in kinds are always known.
    let api: Api<DynamicObject> = match kinds::api(client, &named) {
        Ok(api) => api,
        Err(_) => return Ok(Found::There),
    };
    let found = send_opt(scope, object, || api.get_metadata(&object.name)).await?;
    Ok(match found {
        Some(_) => Found::There,
        None => Found::Gone,
    })
}
