//! § Aggregate metrics: the federating Prometheus on home. It scrapes the Prometheus of each cluster, and Kiali
//! queries it.

mod certificates;
mod claim;
mod config;
mod federation;
mod in_use;

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::{Value, json};

pub use certificates::{
    HomeTls, certificate, held, keep_certificates, mounted, trusted, trusts, write_certificates,
};
use certificates::{files, gateway_files};
pub use claim::{claim_id, keep_claim, unusable};
pub use config::{PrometheusConfig, job};
pub use federation::{ActiveTarget, Federation, targets};

use super::ScrapeTarget;
use crate::k8s::apply::{self, Applied, Before, Outcome};
use crate::k8s::delete::Removed;
use crate::k8s::forward::Connection;
use crate::k8s::health::{self, Health};
use crate::k8s::look::{Component, look};
use crate::k8s::record::CLAIM;
use crate::k8s::request::{RequestError, send_opt};
use crate::k8s::{Scope, delete, kinds, pods, secret, wait, write};
use crate::manifests;
use crate::mesh::{Cluster, ClusterName};
use crate::mutual_tls::{self, Side};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::settings::Settings;

/// How long the first scrape may take after the longest time until it begins, which is one interval.
const SCRAPED: Duration = Duration::from_secs(45);
/// Beside the timeout of a scrape.
const ONE_MORE: Duration = Duration::from_secs(15);
/// The kubelet writes a changed Secret into the volume of a pod that runs within this time.
const MOUNTED: Duration = Duration::from_secs(150);

const NAME: &str = "prometheus";
const CONFIG: &str = "prometheus-config";
const SECRET: &str = "prometheus-tls";
/// The values of the Secret with the pair of the federating Prometheus.
const TLS_FILES: [&str; 2] = [config::CLIENT_CERTIFICATE, config::CLIENT_KEY];
const CONFIG_FILE: &str = "prometheus.yml";
pub const PODS: &str = "app=prometheus";
pub const CONTAINER: &str = "prometheus";
pub const PORT: u16 = 9090;

/// The URL that Kiali queries, in the DNS of home.
pub fn url(namespace: &str) -> String {
    format!("http://{NAME}.{namespace}:{PORT}")
}

pub fn objects(
    namespace: &str,
    targets: &[ScrapeTarget],
    settings: &Settings,
    assigns_users: bool,
    tls: Option<&HomeTls<'_>>,
) -> Result<Vec<Value>> {
    let accesses = &settings.own_prometheus;
    let config = PrometheusConfig::federating(targets, settings.metrics, accesses);
    let theirs = targets.iter().filter(|target| target.https.is_some());
    let access =
        |target: &ScrapeTarget| Some(accesses.get(&target.cluster)?.sources(&target.cluster));
    let sources = theirs.filter_map(access).flatten().collect();
    let tls_data = tls.map(|tls| tls.data(targets));
    let serving = Serving { config, sources };
    let pod_user = manifests::pod_user(assigns_users);
    rendered(namespace, targets, settings, pod_user, tls_data, serving)
}

/// What the federating Prometheus runs with.
struct Serving {
    config: PrometheusConfig,
    /// The sources of the user in the volume with the configuration.
    sources: Vec<Value>,
}

fn rendered(
    namespace: &str,
    targets: &[ScrapeTarget],
    settings: &Settings,
    pod_user: Value,
    tls_data: Option<Value>,
    serving: Serving,
) -> Result<Vec<Value>> {
    let config = serving.config.render()?;
    let hash = manifests::hash(&config);
    let files = files(targets).map(|file| json!({"key": file, "path": file}));
    let values = json!({
        "namespace": namespace, "config": config, "config_hash": hash, "images": settings.images.values(),
        "pod_user": pod_user, "network_policies": settings.network_policies,
        "mutual_tls": settings.exposure.mutual_tls(), "tls_data": tls_data,
        "tls_files": files.collect::<Vec<_>>(), "history": settings.history.values(), "sources": serving.sources,
        "memory": settings.metrics.limits.memory_quantity(),
    });
    manifests::render(manifests::FEDERATED_PROMETHEUS, values)
}

fn on(
    scope: &Scope<'_>,
    targets: &[ScrapeTarget],
    settings: &Settings,
    tls: Option<&HomeTls<'_>>,
) -> Result<Vec<Value>> {
    let assigns_users = scope.cluster.assigns_users;
    objects(scope.namespace, targets, settings, assigns_users, tls)
}

/// All that an install with these settings may have made, whatever its options were.
pub fn possible(namespace: &str, settings: &Settings) -> Result<Vec<Value>> {
    objects(namespace, &[], &settings.with_all_objects(), false, None)
}

/// What was written.
pub struct Written {
    pub summary: String,
    /// How long the first scrape with it may take.
    pub patience: Duration,
}

/// The step is done when the targets have been scraped.
pub async fn install(
    scope: &Scope<'_>,
    targets: &[ScrapeTarget],
    tls: Option<&HomeTls<'_>>,
    before: Before,
) -> Result<Written> {
    let mut wanted = on(scope, targets, scope.settings, tls)?;
    claim::prepare(scope, &mut wanted).await?;
    claim::forget_deleted(scope).await?;
    // First what the pod mounts, so that no pod waits for it.
    let applied = apply::apply_first(scope, &["Secret", CLAIM], &wanted, before).await?;
    let possible = on(scope, targets, &scope.settings.with_all_objects(), None)?;
    delete::delete_unwanted(scope, possible, &wanted).await?;
    let (api, id) = (deployments(scope), deployment_id(scope));
    // On the heap: a future on the stack would be too large.
    let rolled_out = Box::pin(pods::rolled_out_with(scope, &api, &applied, id, PODS));
    claim::beside(scope, rolled_out).await?;
    let summary = apply::summary(&applied);
    let has_changed = |one: &Applied| one.outcome == Outcome::Changed;
    let secret = applied.iter().find(|one| one.live["kind"] == "Secret");
    let pod = apply::of_kind(&applied, "Deployment")?;
    let interval = scope.settings.metrics.interval;
    let scraped = interval.duration() + SCRAPED.max(interval.timeout() + ONE_MORE);
    if scope.settings.history.storage.is_none() && has_changed(pod) {
        claim::tell_kept(scope);
    }
    let patience = match secret.is_some_and(has_changed) && pod.outcome == Outcome::Unchanged {
        true => scraped + MOUNTED,
        false => scraped,
    };
    Ok(Written { summary, patience })
}

/// Waits until the federating Prometheus has scraped each of these clusters since it started, because nothing
/// would report a target that is never scraped. Returns the clusters that it could not scrape, and why.
pub async fn scraped<'a>(
    scope: &Scope<'_>,
    clusters: &[&'a Cluster],
    written: &Written,
) -> Vec<(&'a Cluster, Problem)> {
    if scope.choices.dry_run {
        return Vec::new();
    }
    let object = deployment_id(scope);
    let mut connection = None;
    let mut seen = Vec::new();
    let waited = wait::poll(scope, &object, written.patience, async || {
        match active_targets(scope, &mut connection, written.patience).await {
            Ok(targets) => {
                let scraped = clusters.iter().map(|c| was_scraped(&targets, &c.name));
                seen = scraped.collect();
            }
            Err(error) => {
                connection = None;
                let reason = format!("its API does not answer: {error:#}");
                let unknown = vec![Health::InProgress(reason); clusters.len()];
                // A failed query, such as the last one when the deadline interrupts it, tells less about a target
                // than the query before it.
                if seen.is_empty() {
                    seen.clone_from(&unknown);
                }
                return first_pending(clusters, &unknown);
            }
        }
        first_pending(clusters, &seen)
    });
    match waited.await {
        Ok(()) => Vec::new(),
        Err(_) => clusters
            .iter()
            .zip(seen)
            .filter_map(|(cluster, health)| Some((*cluster, unscraped(cluster, &health)?)))
            .collect(),
    }
}

/// Uses one connection for all queries, and opens it if there is none.
async fn active_targets(
    scope: &Scope<'_>,
    connection: &mut Option<Connection>,
    patience: Duration,
) -> Result<Vec<ActiveTarget>> {
    let connection = match connection {
        Some(open) => open,
        None => connection.insert(Federation::find(scope).await?.connect(patience).await?),
    };
    federation::targets(connection).await
}

fn was_scraped(targets: &[ActiveTarget], cluster: &ClusterName) -> Health {
    let pool = job(cluster);
    let Some(target) = targets.iter().find(|t| t.scrape_pool == pool) else {
        return Health::InProgress("the federating Prometheus does not list it yet".into());
    };
    let url = target.url();
    match target.health.as_str() {
        "up" => Health::Ready,
        "unknown" => Health::InProgress(format!("{url} was not scraped yet")),
        health => Health::InProgress(format!("{url} is {health}: {}", target.error())),
    }
}

/// Reports the first cluster that is not scraped yet.
fn first_pending(clusters: &[&Cluster], seen: &[Health]) -> Health {
    let mut pending = clusters
        .iter()
        .zip(seen)
        .filter_map(|(cluster, health)| match health {
            Health::InProgress(why) => Some(format!("{}: {why}", cluster.name)),
            _ => None,
        });
    pending.next().map_or(Health::Ready, Health::InProgress)
}

fn unscraped(cluster: &Cluster, health: &Health) -> Option<Problem> {
    let Health::InProgress(reason) = health else {
        return None;
    };
    let cause = format!("{}: its Prometheus is not scraped: {reason}", cluster.name);
    let fix = match &cluster.prometheus {
        Some(_) => "name the address at which the pods of home reach it: --prometheusN HOST:PORT",
        None => "look at the whole way there: ambikiali verify",
    };
    Some(Problem::new(Exit::TimedOut, cause).fix(fix))
}

/// Removes the jobs of these clusters and keeps the others. Returns a summary of what was written, or would be.
pub async fn take_out(scope: &Scope<'_>, leaving: &[ClusterName]) -> Result<Vec<ObjectId>> {
    let config = config(scope).await?;
    let mut targets = config::targets(&config);
    if targets.is_empty() {
        scope.progress.done("nothing to remove");
        return Ok(Vec::new());
    }
    // A remote is removed without the options of the install, and a record alone decides nothing, so all that is in use
    // is kept as it is.
    let mut settings = scope.settings.clone();
    let has_secret = secret::live(scope, &secret_id(scope)).await?.is_some();
    settings.exposure.plain_http = !has_secret && !targets.iter().any(|target| target.mutual_tls);
    targets.retain(|target| !leaving.contains(&target.cluster));
    let live = live(scope).await?;
    let serving = Serving {
        config: PrometheusConfig::without(&config, leaving).unwrap_or_else(|| {
            let metrics = config::metrics(&config);
            PrometheusConfig::federating(&targets, metrics, &settings.own_prometheus)
        }),
        sources: in_use::sources(&live, leaving),
    };
    let pod_user = manifests::pod_user(scope.cluster.assigns_users);
    let namespace = scope.namespace;
    let mut objects = rendered(namespace, &targets, &settings, pod_user, None, serving)?;
    for object in &mut objects {
        match object["kind"].as_str() {
            Some("Secret") => drop(keep_certificates(scope, &targets, object).await?),
            Some("Deployment") => in_use::keep(&live, object),
            _ => {}
        }
    }
    let applied = apply::apply_all(scope, &objects, Before::Unknown).await?;
    if !scope.choices.dry_run {
        let api = deployments(scope);
        pods::rolled_out_with(scope, &api, &applied, deployment_id(scope), PODS).await?;
    }
    let done = apply::summary(&applied);
    scope
        .progress
        .done(format!("{done}; scrapes {} clusters", targets.len()));
    let written = applied.iter().filter(|a| a.outcome != Outcome::Unchanged);
    written.map(|a| kinds::id(&a.live)).collect()
}

/// The Deployment as it is; null if there is none.
async fn live(scope: &Scope<'_>) -> Result<Value> {
    let metadata = json!({"namespace": scope.namespace, "name": NAME});
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata});
    let live = write::read(scope, &object, &deployment_id(scope)).await?;
    Ok(live.unwrap_or_default())
}

fn deployments(scope: &Scope<'_>) -> Api<Deployment> {
    Api::namespaced(scope.cluster.client.clone(), scope.namespace)
}

pub fn secret_id(scope: &Scope<'_>) -> ObjectId {
    ObjectId::new("Secret", scope.namespace, SECRET)
}

fn deployment_id(scope: &Scope<'_>) -> ObjectId {
    server(scope.namespace)
}

/// Ready means rolled out, with the current addresses of the Gateways: a load balancer may assign another address
/// at any time, and nothing else would report it.
pub async fn status(
    scope: &Scope<'_>,
    exposed: impl Future<Output = Vec<ScrapeTarget>>,
) -> Vec<Component> {
    let (api, id) = (deployments(scope), deployment_id(scope));
    let deployment = look(scope, &api, id, health::deployment);
    let claim = claim::status(scope);
    let (mut server, config, exposed, claim) =
        tokio::join!(deployment, config(scope), exposed, claim);
    if let (Health::Ready, Ok(config)) = (&server.health, &config)
        && let Some(drift) = exposed.iter().find_map(|now| drift(config, now))
    {
        server.health = Health::InProgress(drift);
    }
    if !scope.settings.exposure.mutual_tls() {
        return claim.into_iter().chain([server]).collect();
    }
    let targets = config::targets(&config.unwrap_or_default());
    let peers = gateway_files(&targets).collect::<Vec<_>>();
    let id = secret_id(scope);
    let secret = mutual_tls::status(scope, id, Side::Client, TLS_FILES, &peers).await;
    claim.into_iter().chain([secret, server]).collect()
}

/// The clusters whose scrapes take more than half of their timeout, as in "the scrape of cluster1 takes 6.2 s of its
/// timeout of 10 s". Empty if no federating Prometheus runs.
pub async fn slow_scrapes(scope: &Scope<'_>, clusters: &[&ClusterName]) -> Result<Vec<String>> {
    let Some(federation) = Federation::running(scope).await? else {
        return Ok(Vec::new());
    };
    let targets = federation.targets().await?;
    let slow = clusters.iter().filter_map(|cluster| {
        let pool = job(cluster);
        let target = targets.iter().find(|target| target.scrape_pool == pool)?;
        Some(format!("the scrape of {cluster} {}", target.slow()?))
    });
    Ok(slow.collect())
}

/// The Deployment of the federating Prometheus.
pub fn server(namespace: &str) -> ObjectId {
    ObjectId::new("Deployment", namespace, NAME)
}

/// The configuration in the ConfigMap, if any.
async fn config(scope: &Scope<'_>) -> Result<String, RequestError> {
    let api = Api::<ConfigMap>::namespaced(scope.cluster.client.clone(), scope.namespace);
    let id = ObjectId::new("ConfigMap", scope.namespace, CONFIG);
    let map = send_opt(scope, &id, || api.get(CONFIG)).await?;
    let text = map.and_then(|map| map.data?.remove(CONFIG_FILE));
    Ok(text.unwrap_or_default())
}

/// The scrape targets in the ConfigMap, as far as it can be parsed.
pub async fn configured(scope: &Scope<'_>) -> Result<Vec<ScrapeTarget>, RequestError> {
    Ok(config::targets(&config(scope).await?))
}

fn drift(config: &str, now: &ScrapeTarget) -> Option<String> {
    let (cluster, address) = (&now.cluster, &now.address);
    match config::target(config, cluster) {
        Some(target) if target.address != *address => Some(format!(
            "scrapes {cluster} at {}, but its Gateway's address is {address}: run install again",
            target.address
        )),
        Some(_) => None,
        None => Some(format!("does not scrape {cluster}: run install again")),
    }
}

pub async fn remove(scope: &Scope<'_>) -> Result<()> {
    let objects = on(scope, &[], &scope.settings.with_all_objects(), None)?;
    let removed = delete::delete_all(scope, &objects).await?;
    let mut claim = objects.iter().zip(&removed);
    if let Some((claim, Removed::Deleted)) = claim.find(|(object, _)| object["kind"] == CLAIM) {
        // It stays until no pod uses it.
        wait::until_gone(scope, &kinds::of(claim)?, claim_id(scope)).await?;
    }
    scope.progress.done(delete::summary(scope, &removed));
    Ok(())
}
