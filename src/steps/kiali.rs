//! § Deploy Kiali: the Kiali CR on home, and Kiali itself. Only Kiali's own API tells whether it sees a remote;
//! the operator's `Successful` and `/healthz` do not.

pub mod graph;
mod objects;
pub mod pages;
mod rollout;
pub mod server;
pub mod store;

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::core::DynamicObject;
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::code::Code;
use crate::k8s::apply::{self, Applied, Before};
use crate::k8s::forward::Target;
use crate::k8s::health::{self, Health, Kiali, KialiFence};
use crate::k8s::look::{Component, look};
use crate::k8s::request::send_opt;
use crate::k8s::wait::{self};
use crate::k8s::{Scope, delete, kiali_cr, kinds, ownership, pods};
use crate::mesh::ClusterName;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
pub use objects::{client_secret, objects, to_query};
pub use rollout::{has_old_files, kept_serving, other_image, restarted, rolled, up_for};
use rollout::{image_of, rolled_out_since};
use store::Seen;

pub const NAME: &str = "kiali";
/// The Secret with the client secret of the login. The operator mounts the one of this name, if it exists.
pub const CLIENT_SECRET: &str = "kiali";
pub const PODS: &str = "app.kubernetes.io/name=kiali,app.kubernetes.io/instance=kiali";
pub const PORT: u16 = 20001;
pub const WEB_ROOT: &str = "/kiali";
/// Kiali answers within a second, but takes a minute or more if a remote hangs.
const ANSWER: Duration = Duration::from_secs(10);

/// The Kiali CR as it was applied, and when the files of its pod, the client secret and the CA of the store, were written
/// by whoever wrote them last.
pub struct Asked {
    pub cr: Applied,
    pub files: Option<Time>,
}

/// Applies the CR early: Kiali starts without remotes and is rolled when it gets them, and a refusal of the operator
/// is known long before.
pub async fn apply(scope: &Scope<'_>, prometheus: &str, before: Before) -> Result<Asked> {
    let (namespace, home) = (scope.namespace, &scope.cluster.name);
    let of = |settings| objects(namespace, home, prometheus, settings);
    let wanted = of(scope.settings)?;
    let mut applied = apply::apply_all(scope, &wanted, before).await?;
    delete::delete_unwanted(scope, of(&scope.settings.with_all_objects())?, &wanted).await?;
    let is_file = |one: &&Applied| {
        ["Secret", "ConfigMap"]
            .iter()
            .any(|k| one.live["kind"] == *k)
    };
    let files = applied.iter().filter(is_file);
    let files = files.filter_map(|one| ownership::written_at(&one.live));
    Ok(Asked {
        files: files.max(),
        cr: applied.swap_remove(0),
    })
}

/// Waits until the operator has reconciled the CR. Returns whether Kiali lacked rights for a while.
pub async fn settled(scope: &Scope<'_>, cr: &Applied, renewed: bool) -> Result<bool> {
    let lacking = kiali_cr::lacking(scope, cr).await?;
    kiali_cr::report_missing(scope, &lacking);
    kiali_cr::settled(scope, NAME, cr, renewed || !lacking.is_empty()).await?;
    Ok(kiali_cr::is_for_rights(&lacking) || kiali_cr::changes_role(cr))
}

/// Waits until a Kiali runs that started after `since`, the last write of its remotes, and until its API names all of
/// `clusters` and none of `leaving`.
pub async fn serving(
    scope: &Scope<'_>,
    since: Option<Time>,
    clusters: &[ClusterName],
    leaving: &[ClusterName],
) -> Result<()> {
    if scope.choices.dry_run {
        return pods::foreseen(scope, &ObjectId::new("Deployment", scope.namespace, NAME)).await;
    }
    let (deployment, pods) = rolled_out_since(scope, since).await?;
    if let Some(other) = deployment.and_then(|deployment| image_of(scope, deployment)) {
        scope
            .progress
            .note(format!("Deployment {}/{NAME} {other}", scope.namespace));
    }
    let object = ObjectId::new("Deployment", scope.namespace, NAME);
    let mut ready = pods::newest_ready(&pods);
    let asked = wait::poll(scope, &object, Duration::from_secs(60), async || {
        let target = match ready.take() {
            Some(pod) => Some(at(scope, pod)),
            None => target(scope).await.ok().flatten(),
        };
        let Some(target) = target else {
            return Health::InProgress("no pod is ready".into());
        };
        match server::blind_spot(scope, &target, clusters, ANSWER).await {
            None => match server::still_named(scope, &target, leaving, ANSWER).await {
                None => Health::Ready,
                Some(spot) => Health::InProgress(spot),
            },
            Some(spot) => Health::InProgress(spot),
        }
    });
    asked.await.map_err(|reason| {
        Problem::new(
            Exit::TimedOut,
            format!("{}: Kiali runs, but {reason}", scope.cluster.name),
        )
        .fix(format!(
            "{} -n {} logs deployment/{NAME} --tail=50",
            scope.cluster.kubectl, scope.namespace
        ))
    })?;
    let names = clusters
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    scope.progress.done(match scope.settings.login {
        Some(_) => format!("asks for a login, and reaches {names}"),
        None => format!("sees {names}"),
    });
    Ok(())
}

/// Waits until the store answers Kiali's queries.
pub async fn queries(scope: &Scope<'_>) -> Result<()> {
    let Some(store) = scope
        .settings
        .store
        .as_ref()
        .filter(|_| !scope.choices.dry_run)
    else {
        return Ok(());
    };
    let object = ObjectId::cluster_wide("Store", &store.url);
    let asked = wait::poll(scope, &object, Duration::from_secs(90), || async {
        let Ok(Some(target)) = target(scope).await else {
            return Health::InProgress("no pod of Kiali is ready".into());
        };
        match store::seen(scope, &target, store, ANSWER).await {
            Seen::Answers | Seen::Named => Health::Ready,
            Seen::Broken(why) => Health::InProgress(why),
        }
    });
    if scope.settings.login.is_some() {
        scope
            .progress
            .note("Kiali asks for a login, so whether the store answers its queries was not tried");
    }
    asked.await.map_err(|why| {
        let cause = format!(
            "{}: no metrics from {}: {why}",
            scope.cluster.name, store.url
        );
        Problem::new(Exit::TimedOut, cause)
            .code(Code::NotQueried)
            .fix(format!("ambikiali explain {}", Code::NotQueried))
    })?;
    Ok(())
}

/// For `status` and `verify`, which look once: the store as Kiali sees it.
pub async fn status_of_store(scope: &Scope<'_>) -> Vec<Component> {
    let Some(store) = &scope.settings.store else {
        return Vec::new();
    };
    let seen = match target(scope).await {
        Ok(Some(target)) => store::seen(scope, &target, store, ANSWER).await,
        Ok(None) => Seen::Broken("no pod of Kiali is ready".into()),
        Err(error) => Seen::Broken(format!("{error:#}")),
    };
    let health = match seen {
        Seen::Answers | Seen::Named => Health::Ready,
        Seen::Broken(why) => Health::InProgress(why),
    };
    let mut component = Component::new(ObjectId::cluster_wide("Store", &store.url), health);
    component.code = (component.health != Health::Ready).then_some(Code::NotQueried);
    vec![component]
}

/// The URL that a live Kiali CR of this install queries. None without one.
pub async fn queried(scope: &Scope<'_>) -> Result<Option<String>> {
    let crs = Api::<DynamicObject>::namespaced_with(
        scope.cluster.client.clone(),
        scope.namespace,
        &kinds::kiali(),
    );
    let id = ObjectId::new("Kiali", scope.namespace, NAME);
    const URL: &str = "/spec/external_services/prometheus/url";
    let metadata = json!({"namespace": scope.namespace, "name": NAME});
    let object = json!({"apiVersion": "kiali.io/v1alpha1", "kind": "Kiali", "metadata": metadata});
    if let Some(seen) = scope.seen(&object) {
        let url = seen.and_then(|cr| cr.pointer(URL)?.as_str());
        return Ok(url.map(Into::into));
    }
    let live = match send_opt(scope, &id, || crs.get(NAME)).await {
        Ok(live) => live,
        Err(refusal) if refusal.is_unknown_kind() => None,
        Err(refusal) => return Err(refusal.into()),
    };
    let url = live.as_ref().and_then(|cr| {
        let url = cr.data.pointer(URL);
        url.and_then(Value::as_str)
    });
    Ok(url.map(Into::into))
}

fn deployments(scope: &Scope<'_>) -> Api<Deployment> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

/// The ready pod of Kiali.
pub async fn target(scope: &Scope<'_>) -> Result<Option<Target>> {
    let pod = pods::ready(scope, scope.namespace, PODS).await?;
    Ok(pod.map(|pod| at(scope, pod)))
}

fn at(scope: &Scope<'_>, pod: String) -> Target {
    Target {
        namespace: scope.namespace.into(),
        pod,
        port: PORT,
    }
}

pub async fn status(scope: &Scope<'_>) -> Vec<Component> {
    let crs = Api::<Kiali>::namespaced_with(
        scope.cluster.client.clone(),
        scope.namespace,
        &kinds::kiali(),
    );
    let deployments = deployments(scope);
    let (cr, server, missing) = tokio::join!(
        look(
            scope,
            &crs,
            ObjectId::new("Kiali", scope.namespace, NAME),
            |k| KialiFence::default().judge(k)
        ),
        look(
            scope,
            &deployments,
            ObjectId::new("Deployment", scope.namespace, NAME),
            health::deployment
        ),
        kiali_cr::missing(scope, false),
    );
    kiali_cr::with_missing(vec![cr, server], missing)
}

/// Deletes the CR and waits until it is gone; the operator removes Kiali with it.
pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let (namespace, home) = (scope.namespace, &scope.cluster.name);
    let mut objects = objects(namespace, home, "", &scope.settings.with_all_objects())?;
    if !objects.iter().any(|object| object["kind"] == "Secret") {
        objects.push(client_secret(namespace, &SecretString::from("any")));
    }
    let (cr, others) = objects.split_first().context("the manifest has a CR")?;
    let removed = kiali_cr::remove(scope, cr).await?;
    delete::delete_all(scope, others).await?;
    scope
        .progress
        .done(kiali_cr::describe_removal(scope, removed));
    Ok(())
}
