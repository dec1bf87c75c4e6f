//! The one command that the guide repeats in both Kiali sections: the operator, which makes and
//! removes what a Kiali CR asks for. Nothing waits for its pod: a CR that is there when it starts is
//! taken up at once.

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::k8s::apply::{self, Before, Claim};
use crate::k8s::delete::{self, Removed};
use crate::k8s::health::{self, Kiali};
use crate::k8s::look::{Component, look};
use crate::k8s::request::{send, send_opt};
use crate::k8s::wait::{self, Wait};
use crate::k8s::{Scope, kinds, ownership, pods, write};
use crate::manifests;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;

const NAME: &str = "kiali-operator";
const CRD: &str = "kialis.kiali.io";
/// What every operator of the published chart carries, wherever it is.
const LABEL: &str = "app.kubernetes.io/name=kiali-operator";
const KNOWN: &str = "v2.";

pub fn crd() -> Result<Value> {
    Ok(manifests::render(manifests::KIALI_CRD, json!({}))?.swap_remove(0))
}

pub fn objects(namespace: &str) -> Result<Vec<Value>> {
    manifests::render(manifests::KIALI_OPERATOR, json!({"namespace": namespace}))
}

/// All that may be made.
pub fn planned(namespace: &str) -> Result<Vec<Value>> {
    let mut all = objects(namespace)?;
    all.push(crd()?);
    Ok(all)
}

/// An operator that is there already serves: two of them would work on the same CR.
pub async fn install(scope: &Scope<'_>, before: Before) -> Result<()> {
    let crd = crd()?;
    match apply::claim(scope, &crd, before).await? {
        Claim::Foreign(live) => {
            serves(scope, &live)?;
            apply::reuse(scope, &crd, &live)?;
            if let Some(operator) = foreign(scope).await? {
                let said = adopt(scope, &operator)?;
                scope.progress.done(said);
                return Ok(());
            }
        }
        Claim::Ours(_) => established(scope, apply::apply(scope, &crd, before).await?.live).await?,
        Claim::Created(live) => established(scope, live).await?,
    }
    let applied = apply::apply_all(scope, &objects(scope.namespace)?, before).await?;
    let operators = applied.iter().filter(|a| a.live["kind"] == "Deployment");
    let operator = operators.map(|a| serde_json::from_value::<Deployment>(a.live.clone()));
    if operator.flatten().any(|o| health::refused(&o).is_some()) {
        pods::retried(scope, &ObjectId::new("Deployment", scope.namespace, NAME)).await?;
    }
    scope.progress.done(apply::summary(&applied));
    Ok(())
}

/// A kind of somebody else may be of any form, newer or older, as long as our CRs can be of it.
fn serves(scope: &Scope<'_>, live: &Value) -> Result<()> {
    let Some(cause) = not_served(live)? else {
        return Ok(());
    };
    let cluster = scope.cluster;
    let cause = format!(
        "{}: CustomResourceDefinition {CRD} {cause}; it was left as it is",
        cluster.name
    );
    Err(Problem::new(Exit::Conflict, cause).fix(serve(scope)).into())
}

/// What to do then.
pub fn serve(scope: &Scope<'_>) -> String {
    format!(
        "have its owner serve it too: kubectl --context {} get crd {CRD} -o yaml",
        scope.cluster.context
    )
}

/// Why a kind of somebody else is of no use.
pub fn not_served(live: &Value) -> Result<Option<String>> {
    let ours = crd()?;
    let versions = live["spec"]["versions"].as_array().into_iter().flatten();
    let served = versions.filter(|v| v["served"] == true);
    let served = served
        .filter_map(|v| v["name"].as_str())
        .collect::<Vec<_>>();
    let wanted = ours["spec"]["versions"][0]["name"].as_str();
    let wanted = wanted.unwrap_or_default();
    let cause = || {
        format!(
            "is there already and serves {}, but not {wanted}",
            served.join(", ")
        )
    };
    Ok((!served.contains(&wanted)).then(cause))
}

async fn established(scope: &Scope<'_>, crd: Value) -> Result<()> {
    if scope.choices.dry_run {
        return Ok(());
    }
    let api = Api::<CustomResourceDefinition>::all(scope.cluster.client.clone());
    let id = ObjectId::cluster_wide("CustomResourceDefinition", CRD);
    let wait = Wait {
        seen: serde_json::from_value(crd).ok(),
        ..Wait::for_object(api, id)
    };
    wait::until(scope, wait, health::crd).await.map(drop)
}

/// An operator that is not ours.
pub async fn foreign(scope: &Scope<'_>) -> Result<Option<Deployment>> {
    let api = Api::<Deployment>::all(scope.cluster.client.clone());
    let list = ListParams::default().labels(LABEL);
    let all = ObjectId::cluster_wide("Deployments", LABEL);
    let found = send(scope, &all, || api.list(&list)).await?.items;
    let ours = |d: &Deployment| ownership::is_ours(&d.metadata, &scope.record.id);
    Ok(found.into_iter().find(|d| !ours(d)))
}

pub fn id(operator: &Deployment) -> ObjectId {
    let meta = &operator.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    ObjectId::new("Deployment", &text(&meta.namespace), &text(&meta.name))
}

fn adopt(scope: &Scope<'_>, operator: &Deployment) -> Result<String> {
    let id = id(operator);
    if let Some(cause) = unusable(operator) {
        let cause = format!("{}: {id} {cause}", scope.cluster.name);
        return Err(Problem::new(Exit::Conflict, cause)
            .fix(bring(scope, &id))
            .into());
    }
    let mut live = serde_json::to_value(operator)?;
    live["apiVersion"] = json!("apps/v1");
    live["kind"] = json!("Deployment");
    apply::reuse(scope, &live, &live)?;
    Ok(format!("{id} was there before, reused"))
}

/// Only one of a version whose CR is the one we write serves.
pub fn unusable(operator: &Deployment) -> Option<String> {
    let version = version(operator);
    let known = version.is_some_and(|version| version.starts_with(KNOWN));
    let version = version.unwrap_or("unknown");
    let cause =
        || format!("was there before, of version {version}; only {KNOWN}x is known to serve");
    (!known).then(cause)
}

/// What to do with one that does not.
pub fn bring(scope: &Scope<'_>, id: &ObjectId) -> String {
    let namespace = id.namespace.as_deref().unwrap_or_default();
    format!(
        "bring it to {}, or remove it: kubectl --context {} -n {namespace} get deployment {} --show-labels",
        manifests::KIALI_VERSION,
        scope.cluster.context,
        id.name
    )
}

/// The operator itself reads this label of its pod.
fn version(operator: &Deployment) -> Option<&str> {
    let template = &operator.spec.template;
    let labels = template.metadata.as_ref()?.labels.as_ref()?;
    labels.get("version").map(String::as_str)
}

fn deployments(scope: &Scope<'_>) -> Api<Deployment> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

pub async fn status(scope: &Scope<'_>) -> Vec<Component> {
    if let Ok(Some(operator)) = foreign(scope).await {
        let health = health::deployment(Some(&operator));
        return vec![Component::new(id(&operator), health)];
    }
    let object = ObjectId::new("Deployment", scope.namespace, NAME);
    vec![look(scope, &deployments(scope), object, health::deployment).await]
}

/// Whether an operator of ours is still needed: while another Kiali CR is there nobody else would run
/// its finalizer. The CRD stays too, as its deletion would delete every CR. Our own CRs are gone when
/// this runs.
pub async fn remove(scope: &Scope<'_>) -> Result<bool> {
    let mut others = crs(scope).await?;
    // In a dry run ours is still there.
    others.retain(|cr| !scope.record.all_removed().contains(cr));
    let named = others.iter().map(ToString::to_string).collect::<Vec<_>>();
    let named = named.join(", ");
    let objects = objects(scope.namespace)?;
    if !others.is_empty() && is_ours(scope, &objects).await? {
        let kept = format!("kept with its CRD, for {named}");
        scope.progress.done(kept);
        return Ok(true);
    }
    let mut removed = delete::delete_all(scope, &objects).await?;
    if !others.is_empty() {
        let removed = delete::summary(scope, &removed);
        let done = format!("{removed}; the CRD is kept, for {named}");
        scope.progress.done(done);
        return Ok(false);
    }
    let crd = crd()?;
    removed.push(delete::delete(scope, &crd).await?);
    if removed.last() == Some(&Removed::Deleted) {
        let id = ObjectId::cluster_wide("CustomResourceDefinition", CRD);
        wait::until_gone(scope, &kinds::of(&crd)?, id).await?;
    }
    scope.progress.done(delete::summary(scope, &removed));
    Ok(false)
}

async fn is_ours(scope: &Scope<'_>, objects: &[Value]) -> Result<bool> {
    let operator = objects.iter().find(|o| o["kind"] == "Deployment");
    let operator = operator.context("the manifest has an operator")?;
    let live = write::read(scope, operator, &kinds::id(operator)?).await?;
    Ok(live.as_ref().is_some_and(|live| scope.record.is_ours(live)))
}

/// All Kiali CRs of the cluster.
pub async fn crs(scope: &Scope<'_>) -> Result<Vec<ObjectId>> {
    let api = Api::<Kiali>::all_with(scope.cluster.client.clone(), &kinds::kiali());
    let id = ObjectId::cluster_wide("Kialis", "in all namespaces");
    let list = ListParams::default();
    let found = send_opt(scope, &id, || api.list(&list)).await?;
    let items = found.map(|l| l.items).unwrap_or_default();
    Ok(items
        .into_iter()
        .map(|k| ObjectId {
            kind: "Kiali".into(),
            namespace: k.metadata.namespace,
            name: k.metadata.name.unwrap_or_default(),
        })
        .collect())
}
