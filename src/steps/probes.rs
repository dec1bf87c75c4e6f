//! The probes of `verify --probes own`: a server and a client in a namespace of their own, in each cluster, for as long
//! as the command runs. They are no section of the guide. The next command that writes removes what a killed run left,
//! because the record names it.

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::{Value, json};

use crate::k8s::apply::{self, Before, Outcome};
use crate::k8s::delete::{self, Removed};
use crate::k8s::record::{self, Origin};
use crate::k8s::wait::Wait;
use crate::k8s::{Scope, contents, health, kinds, namespaces, pods, write};
use crate::manifests;
use crate::mesh::ClusterName;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::settings::Settings;

/// The same in all clusters, because the Services of one name are one service of the mesh.
pub const NAMESPACE: &str = "ambikiali-probes";
pub const SERVICE: &str = "probe-server";
/// The page that names the cluster of the server, in one line.
pub const URL: &str = "http://probe-server.ambikiali-probes:9090/consoles/cluster";
const CLIENT: &str = "probe-client";
pub const CONTAINER: &str = "client";

pub fn objects(
    cluster: &ClusterName,
    settings: &Settings,
    assigns_users: bool,
) -> Result<Vec<Value>> {
    let values = json!({
        "page": format!("{cluster}\n"),
        "images": settings.images.values(),
        "pod_user": manifests::pod_user(assigns_users),
    });
    manifests::render(manifests::PROBES, values)
}

/// The probes of a cluster.
pub fn on(scope: &Scope<'_>) -> Result<Vec<Value>> {
    let cluster = scope.cluster;
    objects(&cluster.name, scope.settings, cluster.assigns_users)
}

/// The namespace and what is in it.
fn split(objects: Vec<Value>) -> Result<(Value, Vec<Value>)> {
    let is_namespace = |object: &Value| object["kind"] == "Namespace";
    let (namespace, inside): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_namespace);
    let namespace = namespace.into_iter().next();
    Ok((namespace.context("a Namespace")?, inside))
}

/// Whether a run that was killed left probes, or may have: the record names them, or the namespace is ours. Fails if the
/// namespace exists and is not ours. Writes nothing.
pub async fn is_left(scope: &Scope<'_>) -> Result<bool> {
    let (namespace, _) = split(on(scope)?)?;
    let id = kinds::id(&namespace)?;
    match write::read(scope, &namespace, &id).await? {
        Some(live) if !scope.record.is_ours(&live) => Err(foreign(scope, &id).into()),
        Some(_) => Ok(true),
        None => are_recorded(scope),
    }
}

fn foreign(scope: &Scope<'_>, id: &ObjectId) -> Problem {
    let cause = format!(
        "{}: {id} exists and is not of this install, so no probes can be put there",
        scope.cluster.name
    );
    Problem::new(Exit::Conflict, cause).fix(format!(
        "if nobody needs it, {} delete namespace {NAMESPACE}; or verify with --probes sample",
        scope.cluster.kubectl
    ))
}

/// Whether the record names probes, which a run that was killed left, or may have left.
pub fn are_recorded(scope: &Scope<'_>) -> Result<bool> {
    let objects = on(scope)?;
    let mut entries = objects.iter().filter_map(|o| scope.record.entry(o));
    Ok(entries.any(|entry| entry.origin == Origin::Created))
}

/// Removes what a killed run left, and says so.
pub async fn remove_left(scope: &Scope<'_>) -> Result<()> {
    // The record may not name all of it any more.
    scope.record.plan(&on(scope)?);
    scope
        .progress
        .note("removing the probes that an earlier verify left");
    remove(scope).await
}

/// Creates the probes, without waiting for them. The record names them before the first one exists.
pub async fn install(scope: &Scope<'_>) -> Result<()> {
    let objects = on(scope)?;
    scope.record.plan(&objects);
    record::keep(scope).await?;
    let (namespace, inside) = split(objects)?;
    let applied = apply::apply(scope, &namespace, Before::Nothing).await?;
    if applied.outcome != Outcome::Created {
        // Somebody created it meanwhile.
        return Err(foreign(scope, &kinds::id(&namespace)?).into());
    }
    apply::apply_all(scope, &inside, Before::Nothing).await?;
    // With their UIDs, by which they are known even if somebody takes their labels off.
    record::keep(scope).await
}

/// The pods of one cluster.
pub struct Running {
    pub client: Pod,
    pub server: Pod,
}

/// Waits until server and client run.
pub async fn ready(scope: &Scope<'_>) -> Result<Running> {
    let (server, client) = tokio::try_join!(running(scope, SERVICE), running(scope, CLIENT))?;
    Ok(Running { client, server })
}

async fn running(scope: &Scope<'_>, name: &str) -> Result<Pod> {
    let api = Api::<Deployment>::namespaced(scope.cluster.client.clone(), NAMESPACE);
    let wait = Wait::for_object(api, ObjectId::new("Deployment", NAMESPACE, name));
    let labels = format!("app={name}");
    let done = pods::rolled_out(scope, wait, &labels, health::deployment).await?;
    let newest_first = done.pods?.into_iter().rev();
    let mut ready = newest_first.filter(pods::is_ready);
    ready
        .next()
        .with_context(|| format!("the pod of Deployment {NAMESPACE}/{name} ran, and is gone"))
}

/// Removes the probes and waits until they are gone. Fails if something stays, with the reason. The caller writes the
/// record.
pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let (namespace, inside) = split(on(scope)?)?;
    let removed = delete::delete_all(scope, &inside).await?;
    let id = kinds::id(&namespace)?;
    let live = write::read(scope, &namespace, &id).await?;
    if live.is_some_and(|live| scope.record.is_ours(&live)) {
        let held = contents::of_namespace(scope, NAMESPACE).await?;
        if let Some(reason) = namespaces::kept_because(&held) {
            return Err(stays(scope, &id, &reason.text).into());
        }
    }
    let namespace = delete::delete(scope, &namespace).await?;
    if namespace == Removed::Deleted {
        namespaces::gone(scope, NAMESPACE, None).await?;
    }
    let removed = removed.into_iter().chain([namespace]);
    let summary = delete::summary(scope, &removed.collect::<Vec<_>>());
    scope.progress.done(summary);
    Ok(())
}

fn stays(scope: &Scope<'_>, id: &ObjectId, why: &str) -> Problem {
    let cause = format!("{}: {id} stays: {why}", scope.cluster.name);
    Problem::new(Exit::Partial, cause).fix(format!(
        "move what others put there, then run ambikiali cleanup, install or verify --probes own; or {} delete namespace {NAMESPACE}",
        scope.cluster.kubectl
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_that_is_asked_for_is_the_one_that_names_the_cluster() {
        let name = ClusterName::new("cluster1").unwrap();
        let objects = objects(&name, &Settings::default(), false).unwrap();
        let pages = &manifests::of_kind(&objects, "ConfigMap").unwrap()["data"];
        let page = URL.rsplit('/').next().unwrap();
        assert_eq!(pages[page], "cluster1\n");
        let service = manifests::of_kind(&objects, "Service").unwrap();
        let port = &service["spec"]["ports"][0]["port"];
        let host = format!("http://{SERVICE}.{NAMESPACE}:{port}/consoles/");
        assert_eq!(URL.strip_suffix(page), Some(host.as_str()));
    }

    #[test]
    fn the_namespace_is_the_only_object_outside_of_it() {
        let name = ClusterName::new("cluster1").unwrap();
        let (namespace, inside) =
            split(objects(&name, &Settings::default(), true).unwrap()).unwrap();
        assert_eq!(namespace["metadata"]["name"], NAMESPACE);
        assert!(!inside.is_empty());
        for object in inside {
            assert_eq!(object["metadata"]["namespace"], NAMESPACE, "{object}");
        }
    }
}
