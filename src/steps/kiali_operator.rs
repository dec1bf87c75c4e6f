//! The Kiali operator, which the guide installs in both Kiali sections. It creates and removes what a Kiali CR asks
//! for. Nothing waits for its pod, because it reconciles existing CRs as soon as it starts.

mod foreign;

use std::fmt::Debug;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, ListParams, ObjectMeta};
use kube::core::DynamicObject;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use foreign::{adopt, serves};
pub use foreign::{bring, foreign, id, not_served, serve, unusable};

use crate::k8s::apply::{self, Before, Claim, Outcome};
use crate::k8s::delete::{self, Removed};
use crate::k8s::health::{self, Kiali};
use crate::k8s::look::{Component, look};
use crate::k8s::request::send_opt;
use crate::k8s::wait::{self, Wait};
use crate::k8s::{Scope, kinds, pods, write};
use crate::manifests;
use crate::mesh::pages;
use crate::progress::ObjectId;
use crate::settings::Settings;

const NAME: &str = "kiali-operator";
const CRD: &str = "kialis.kiali.io";
const PODS: &str = "app.kubernetes.io/name=kiali-operator";

pub fn crd() -> Result<Value> {
    manifests::render_one(manifests::KIALI_CRD, json!({}))
}

/// `with_kiali`: the operator will create Kiali itself, and not only its rights. It must hold what it grants, so
/// `--allow-write` is about its own rights too.
pub fn objects(namespace: &str, settings: &Settings, with_kiali: bool) -> Result<Vec<Value>> {
    let images = &settings.images;
    let own_kiali = with_kiali && images.own_kiali();
    let values = json!({
        "namespace": namespace, "images": images.values(), "own_kiali": own_kiali.to_string(),
        "allow_write": settings.account_writes(), "network_policies": settings.network_policies,
    });
    manifests::render(manifests::KIALI_OPERATOR, values)
}

fn on(scope: &Scope<'_>, settings: &Settings) -> Result<Vec<Value>> {
    objects(scope.namespace, settings, scope.is_home())
}

/// Uses an existing operator, because two operators would reconcile the same CR. Returns whether our operator was
/// replaced; then this waits for the new one, because the old one may refuse the new CR.
pub async fn install(scope: &Scope<'_>, before: Before) -> Result<bool> {
    let crd = crd()?;
    match apply::claim(scope, &crd, before).await? {
        Claim::Foreign(live) => {
            serves(scope, &live)?;
            apply::reuse(scope, &crd, &live)?;
            if let Some(operator) = foreign(scope).await? {
                let said = adopt(scope, &operator)?;
                scope.progress.done(said);
                return Ok(false);
            }
        }
        Claim::Ours(_) => established(scope, apply::apply(scope, &crd, before).await?.live).await?,
        Claim::Created(live) => established(scope, live).await?,
    }
    let wanted = on(scope, scope.settings)?;
    let applied = apply::apply_all(scope, &wanted, before).await?;
    let possible = on(scope, &scope.settings.with_all_objects())?;
    delete::delete_unwanted(scope, possible, &wanted).await?;
    let operator = apply::of_kind(&applied, "Deployment")?;
    let id = ObjectId::new("Deployment", scope.namespace, NAME);
    let renewed = operator.outcome == Outcome::Changed;
    if scope.choices.dry_run {
        return Ok(renewed);
    }
    if renewed {
        let wait = Wait {
            seen: serde_json::from_value(operator.live.clone()).ok(),
            ..Wait::for_object(deployments(scope), id)
        };
        pods::rolled_out(scope, wait, PODS, health::deployment).await?;
    } else if health::refused(&serde_json::from_value(operator.live.clone())?).is_some() {
        pods::retry_creation(scope, &id).await?;
    }
    scope.progress.done(apply::summary(&applied));
    Ok(renewed)
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

/// Removes our operator, unless another Kiali CR exists: nothing else would run its finalizer. Then the CRD stays too,
/// because its deletion would delete every CR. Our own CRs are already gone. Returns whether our operator stays.
pub async fn remove(scope: &Scope<'_>) -> Result<bool> {
    let mut others = crs(scope).await?;
    // In a dry run, our CR still exists.
    others.retain(|cr| !scope.record.all_removed().contains(cr));
    let named = others.iter().map(ToString::to_string).collect::<Vec<_>>();
    let named = named.join(", ");
    let objects = on(scope, &scope.settings.with_all_objects())?;
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
    let operator = manifests::of_kind(objects, "Deployment")?;
    let live = write::read(scope, operator, &kinds::id(operator)?).await?;
    Ok(live.as_ref().is_some_and(|live| scope.record.is_ours(live)))
}

/// Other Kialis that may write, if no other operator is there to serve them.
pub async fn other_writers(scope: &Scope<'_>) -> Result<Vec<ObjectId>> {
    let mut others = kialis::<DynamicObject>(scope).await?;
    let ours = |meta: &ObjectMeta| meta.namespace.as_deref() == Some(scope.namespace);
    let writes = |kiali: &DynamicObject| {
        let spec = &kiali.data["spec"];
        let views = &spec["deployment"]["view_only_mode"];
        spec["auth"]["strategy"] == "anonymous" && *views != json!(true)
    };
    others.retain(|kiali| !ours(&kiali.metadata) && writes(kiali));
    if others.is_empty() || foreign(scope).await?.is_some() {
        return Ok(Vec::new());
    }
    let others = others.into_iter();
    Ok(others.map(|kiali| cr_id(kiali.metadata)).collect())
}

/// All Kiali CRs in the cluster.
pub async fn crs(scope: &Scope<'_>) -> Result<Vec<ObjectId>> {
    let all = kialis::<Kiali>(scope).await?.into_iter();
    Ok(all.map(|kiali| cr_id(kiali.metadata)).collect())
}

async fn kialis<K>(scope: &Scope<'_>) -> Result<Vec<K>>
where
    K: Resource<DynamicType = ApiResource> + Clone + DeserializeOwned + Debug,
{
    let api = Api::<K>::all_with(scope.cluster.client.clone(), &kinds::kiali());
    let id = ObjectId::cluster_wide("Kialis", "in all namespaces");
    let list = ListParams::default();
    let found = send_opt(scope, &id, || pages::list(&api, &list)).await?;
    Ok(found.unwrap_or_default())
}

fn cr_id(meta: ObjectMeta) -> ObjectId {
    ObjectId {
        kind: "Kiali".into(),
        namespace: meta.namespace,
        name: meta.name.unwrap_or_default(),
    }
}
