//! § Deploy Kiali: the Kiali CR on home, and Kiali itself. Only Kiali's own API tells whether it sees a remote;
//! the operator's `Successful` and `/healthz` do not.

pub mod graph;
pub mod pages;
pub mod server;
pub mod store;

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::SignedDuration;
use kube::Api;
use kube::core::DynamicObject;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::code::Code;
use crate::k8s::apply::{self, Applied, Before, Outcome};
use crate::k8s::forward::Target;
use crate::k8s::health::{self, Health, Kiali, KialiFence};
use crate::k8s::look::{Component, look};
use crate::k8s::pods::RolledOut;
use crate::k8s::record::{self, Entry, Origin};
use crate::k8s::request::send_opt;
use crate::k8s::wait::{self, Wait};
use crate::k8s::{Scope, delete, kiali_cr, kinds, ownership, pods};
use crate::login::Login;
use crate::manifests;
use crate::mesh::ClusterName;
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::settings::Settings;
use crate::store::Store;
use crate::visible;
use store::Seen;

pub const NAME: &str = "kiali";
/// The Secret with the client secret of the login. The operator mounts the one of this name, if it exists.
pub const CLIENT_SECRET: &str = "kiali";
pub const PODS: &str = "app.kubernetes.io/name=kiali,app.kubernetes.io/instance=kiali";
pub const PORT: u16 = 20001;
pub const WEB_ROOT: &str = "/kiali";
/// Kiali answers within a second, but takes a minute or more if a remote hangs.
const ANSWER: Duration = Duration::from_secs(10);

/// The Kiali CR first. The Secret is there only if the user gives a client secret: otherwise it stays as it is.
pub fn objects(
    namespace: &str,
    home: &ClusterName,
    prometheus: &str,
    settings: &Settings,
) -> Result<Vec<Value>> {
    let values = json!({
        "namespace": namespace,
        "prometheus": metrics(prometheus, settings),
        "home": home.as_str(),
        "images": settings.images.values(),
        "view_only": !settings.allow_write,
        "network_policies": settings.network_policies,
        "login": settings.login.as_ref().map(values_of),
        "ca": ca(settings),
    });
    let mut objects = manifests::render(manifests::KIALI, values)?;
    let secret = settings.login.as_ref().and_then(|l| l.secret.as_ref());
    objects.extend(secret.map(|secret| client_secret(namespace, secret)));
    Ok(objects)
}

/// What Kiali queries: the user's store, or the federating Prometheus.
fn metrics(prometheus: &str, settings: &Settings) -> Value {
    match &settings.store {
        Some(store) => store.for_kiali(settings.metrics),
        None => json!({"url": prometheus}),
    }
}

/// The PEM of what Kiali trusts besides the CAs of its image.
fn ca(settings: &Settings) -> Option<String> {
    let of_store = settings.store.as_ref().and_then(Store::ca_for_kiali);
    of_store.or_else(|| settings.every_ca.then(String::new))
}

fn values_of(login: &Login) -> Value {
    json!({"issuer": login.issuer, "client_id": login.client_id, "disable_rbac": !login.rbac})
}

pub fn client_secret(namespace: &str, secret: &SecretString) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CLIENT_SECRET, "namespace": namespace},
        "type": "Opaque",
        "data": {record::CLIENT_SECRET: STANDARD.encode(secret.expose_secret())},
    })
}

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

/// For how long the oldest ready pod has existed, by the server's clock; None if that is not known.
pub async fn up_for(scope: &Scope<'_>) -> Option<SignedDuration> {
    let all = pods::labelled(scope, scope.namespace, PODS).await.ok()?;
    let oldest = all.iter().find(|pod| pods::is_ready(pod))?;
    let made = oldest.metadata.creation_timestamp.as_ref()?.0;
    Some(scope.cluster.server_time()?.duration_since(made))
}

/// Whether a Kiali runs that started before the files of its pod were written. It reads the client secret only when it
/// starts, and a new CA may take the kubelet two minutes.
pub async fn has_old_files(scope: &Scope<'_>, asked: &Asked) -> bool {
    // The operator rolls Kiali after a change of the CR.
    let (Some(written), Outcome::Unchanged) = (&asked.files, asked.cr.outcome) else {
        return false;
    };
    let all = pods::labelled(scope, scope.namespace, PODS).await;
    let is_older = |pod: &Pod| pod.metadata.creation_timestamp.as_ref() < Some(written);
    all.is_ok_and(|all| all.iter().any(|pod| pods::is_ready(pod) && is_older(pod)))
}

/// Restarts Kiali, which never returns to a cluster in which it lacked rights.
pub async fn restarted(scope: &Scope<'_>) -> Result<Option<Time>> {
    let id = ObjectId::new("Deployment", scope.namespace, NAME);
    let restarted = pods::restart(scope, &deployments(scope), &id).await?;
    let live = restarted.map(serde_json::to_value).transpose()?;
    Ok(live.as_ref().and_then(ownership::written_at))
}

/// Before Kiali is rolled: has the old pod serve until the new one is ready. The operator's Deployment lets the
/// controller stop its only pod first. Whatever runs the operator next may set that again.
pub async fn kept_serving(scope: &Scope<'_>) -> Result<()> {
    let (api, id) = (
        deployments(scope),
        ObjectId::new("Deployment", scope.namespace, NAME),
    );
    let Some(live) = send_opt(scope, &id, || api.get(NAME)).await? else {
        return Ok(());
    };
    let rolling = live.spec.strategy.and_then(|s| s.rolling_update);
    let unavailable = rolling.and_then(|rolling| rolling.max_unavailable);
    if matches!(unavailable, None | Some(IntOrString::Int(0))) {
        return Ok(());
    }
    pods::update(
        scope,
        &api,
        &id,
        &json!({"maxSurge": 1, "maxUnavailable": 0}),
    )
    .await
}

/// Waits until no pod of Kiali is older than `since`, the last write of its remotes. What such a pod uses is not known
/// any more.
pub async fn rolled(scope: &Scope<'_>, since: Option<Time>) -> Result<()> {
    let pods = pods::labelled(scope, scope.namespace, PODS).await?;
    match pods
        .iter()
        .any(|pod| pod.metadata.creation_timestamp < since)
    {
        true => rolled_out_since(scope, since).await.map(drop),
        false => Ok(()),
    }
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

/// The URL that the CR of this install gives to Kiali.
pub fn to_query(prometheus: &str, settings: &Settings) -> String {
    let url = &metrics(prometheus, settings)["url"];
    url.as_str().unwrap_or_default().into()
}

/// Whether Kiali's Deployment has another image than the operator was told. The operator creates the Deployment, and
/// does not notice when somebody changes it.
pub async fn other_image(scope: &Scope<'_>) -> Option<String> {
    let (api, object) = (
        deployments(scope),
        ObjectId::new("Deployment", scope.namespace, NAME),
    );
    let live = send_opt(scope, &object, || api.get(NAME)).await.ok()??;
    image_of(scope, live)
}

fn image_of(scope: &Scope<'_>, live: Deployment) -> Option<String> {
    // An operator of others has its own image for Kiali.
    let is_ours = |entry: &Entry| {
        entry.key.kind == "Deployment"
            && entry.key.name == "kiali-operator"
            && entry.origin == Origin::Created
    };
    if !scope.record.entries().iter().any(is_ours) {
        return None;
    }
    let containers = live.spec.template.spec?.containers;
    let image = containers.into_iter().find(|c| c.name == NAME)?.image?;
    let (_, told) = scope
        .settings
        .images
        .all()
        .find(|(name, _)| *name == NAME)?;
    let image_is_told = scope.settings.images.is_kiali(&image);
    let image = visible::short(&image, visible::SAID);
    (!image_is_told).then(|| format!("runs image {image}, and the operator was told {told}"))
}

/// Kiali reads its remotes only when it starts, so only a pod created after the last write has them all. Returns the
/// Deployment and its pods.
async fn rolled_out_since(
    scope: &Scope<'_>,
    written: Option<Time>,
) -> Result<(Option<Deployment>, Vec<Pod>)> {
    let mut older_than: Option<i64> = None;
    loop {
        let object = ObjectId::new("Deployment", scope.namespace, NAME);
        let newer =
            |d: Option<&Deployment>| match (d.and_then(|d| d.metadata.generation), older_than) {
                (Some(now), Some(then)) if now <= then => Health::InProgress(
                    "the operator has not rolled Kiali with the new remotes".into(),
                ),
                _ => health::deployment(d),
            };
        let wait = Wait::for_object(deployments(scope), object);
        let RolledOut { deployment, pods } = pods::rolled_out(scope, wait, PODS, newer).await?;
        let pods = pods?;
        if !pods
            .iter()
            .any(|pod| pod.metadata.creation_timestamp < written)
        {
            return Ok((deployment, pods));
        }
        // The generation of this roll-out: another one may have started since.
        older_than = deployment.and_then(|d| d.metadata.generation);
    }
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
