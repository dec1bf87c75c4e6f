//! The metrics and the readiness of ztunnel, without its data plane. The page is that of a real ztunnel in shared mode:
//! of 1.31, or of 1.28 if its image is older than 1.29. It also lacks what a real one does not know about the other end
//! of a connection between clusters.
//!
//! What it cannot show: redirected traffic, mTLS, real byte counts, plaintext, traffic by address, waypoints, the exact
//! page of versions between 1.28 and 1.31, names that are resolved upstream, compressed pages, what istiod sends. The
//! connections are those of `sample`. The figures about the process are the sandbox's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::routing::get;
use k8s_openapi::api::core::v1::{Container as Spec, Namespace, Pod};
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use rustix::process::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::time::sleep;

use self::page::{Process, Runtime, Worker, render};
use self::telemetry::Ztunnel;
use super::container::Container;
use crate::Cluster;

mod labels;
mod page;
pub mod telemetry;
#[cfg(test)]
mod tests;

const STATS: u16 = 15020;
const READY: u16 = 15021;
const OPEN_METRICS: &str = "application/openmetrics-text";

/// Runs until it exits with a code or is dropped. Its counters are lost then.
pub async fn run(container: Container) -> i32 {
    let version = version(&container.spec);
    let baggage = match env(&container.spec, "ENABLE_RESPONSE_BAGGAGE").map(str::parse::<bool>) {
        None => true,
        Some(Ok(switch)) => switch,
        Some(Err(error)) => {
            container.log(format!(
                "Error: error parsing ENABLE_RESPONSE_BAGGAGE: {error}"
            ));
            return 1;
        }
    };
    let ztunnel = Ztunnel::new(container.cluster.name(), number(&version), baggage);
    let _running = container.world.traffic.carried_by(&ztunnel);
    let proxies = Arc::new(AtomicU64::new(0));
    let counted = proxies.clone();
    let answer = move |headers: HeaderMap| {
        let page = render(
            &ztunnel,
            &process(&version, counted.load(Ordering::Relaxed)),
        );
        std::future::ready(([(CONTENT_TYPE, content_type(&headers))], page))
    };
    let metrics = Router::new().route("/metrics", get(answer));
    let readiness = Router::new().route("/healthz/ready", get(|| std::future::ready("ready\n")));
    let served = async {
        tokio::try_join!(
            serve(&container, STATS, metrics),
            serve(&container, READY, readiness),
        )
    };
    tokio::select! {
        served = served => container.log(format!("{served:?}")),
        () = count(&container.cluster, &proxies) => {}
    }
    1
}

async fn serve(container: &Container, port: u16, router: Router) -> std::io::Result<()> {
    let listener = TcpListener::bind((container.ip, port)).await?;
    container.log(format!(
        "listener established address={}:{port}",
        container.ip
    ));
    axum::serve(listener, router).await
}

/// Returns the content type. The body is the same for both.
fn content_type(headers: &HeaderMap) -> &'static str {
    let accepted = headers.get_all(ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    match accepted.any(|value| value.contains(OPEN_METRICS)) {
        true => "application/openmetrics-text;charset=utf-8;version=1.0.0",
        false => "text/plain; charset=utf-8",
    }
}

fn env<'a>(spec: &'a Spec, name: &str) -> Option<&'a str> {
    let env = spec.env.as_deref().unwrap_or_default();
    // The last of two variables with the same name counts.
    let found = env.iter().rev().find(|e| e.name == name)?;
    found.value.as_deref()
}

/// Returns the version. The image has it in a variable, and its tag starts with it.
fn version(spec: &Spec) -> String {
    if let Some(set) = env(spec, "ISTIO_META_ISTIO_VERSION") {
        return set.to_owned();
    }
    let image = spec.image.as_deref().unwrap_or_default();
    let name = image.split('@').next().unwrap_or_default();
    // A colon before the last slash belongs to a registry's port.
    let tag = name.rsplit_once(':').map_or("unknown", |(_, tag)| tag);
    let tag = if tag.contains('/') { "unknown" } else { tag };
    let variant = tag.strip_suffix("-distroless");
    let variant = variant.or_else(|| tag.strip_suffix("-debug"));
    variant.unwrap_or(tag).to_owned()
}

fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn process(version: &str, proxies: u64) -> Process {
    let metrics = tokio::runtime::Handle::current().metrics();
    let worker = |i| Worker {
        busy: metrics.worker_total_busy_duration(i).as_secs_f64(),
        parks: metrics.worker_park_count(i),
        parks_and_unparks: metrics.worker_park_unpark_count(i),
    };
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    Process {
        tag: version.to_owned(),
        proxies,
        open_fds: open as u64,
        max_fds: getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
        runtime: Runtime {
            queue: metrics.global_queue_depth(),
            tasks: metrics.num_alive_tasks(),
            workers: (0..metrics.num_workers()).map(worker).collect(),
        },
    }
}

/// Counts the pods of the mesh, forever. Keeps the previous number if counting fails.
async fn count(cluster: &Cluster, proxies: &AtomicU64) {
    loop {
        if let Ok(found) = pods_of_the_mesh(cluster).await {
            proxies.store(found, Ordering::Relaxed);
        }
        sleep(Duration::from_secs(30)).await;
    }
}

async fn pods_of_the_mesh(cluster: &Cluster) -> kube::Result<u64> {
    let ambient = ListParams::default().labels("istio.io/dataplane-mode=ambient");
    let namespaces = Api::<Namespace>::all(cluster.client())
        .list(&ambient)
        .await?;
    let mut found = 0;
    for namespace in namespaces {
        let pods = Api::<Pod>::namespaced(cluster.client(), &namespace.name_any());
        found += pods.list(&ListParams::default()).await?.items.len();
    }
    Ok(found as u64)
}
