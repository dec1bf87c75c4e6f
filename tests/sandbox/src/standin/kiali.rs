//! The Kiali server: answers its API by really asking each cluster with the mounted kubeconfigs and
//! the Prometheus that its config names, and fails as the real one does when one of them is bad.
//!
//! What it cannot show: the UI, anything but the endpoints below, a real login, health of workloads,
//! waypoints in the graph, kubeconfigs with exec, a Prometheus behind TLS or a login, and how fast
//! its watches would notice a change: facts are asked for at each request, so a broken istiod shows
//! at once and not after the real one's 20 s.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;

use super::container::Container;
use config::Config;
use prometheus::Prometheus;

mod clusters;
mod config;
mod elements;
mod forward;
mod graph;
pub(super) mod http;
mod istiod;
mod kubeconfig;
mod mesh;
mod prometheus;
mod promql;
mod routes;
mod start;
mod status;

/// A serving Kiali.
struct Kiali {
    config: Config,
    version: String,
    clusters: clusters::Clusters,
    prometheus: Prometheus,
    container: Container,
}

/// Works until it exits with a code or is dropped.
pub async fn run(container: Container) -> i32 {
    let fatal = |why: String| {
        container.log(format_args!("FTL {why}"));
        1
    };
    let config = match Config::read(&container) {
        Ok(config) => config,
        Err(why) => return fatal(why),
    };
    let clusters = match start::clusters(&container, &config).await {
        Ok(clusters) => clusters,
        Err(why) => return fatal(why),
    };
    let address = SocketAddr::new(IpAddr::V4(container.ip), config.port);
    let kiali = Kiali {
        version: version(&container),
        prometheus: Prometheus::new(&config, container.cluster.client()),
        clusters,
        config,
        container: container.clone(),
    };
    start::poll_istiods(&kiali).await;
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(why) => return fatal(format!("listen {address}: {why}")),
    };
    container.log(format_args!(
        "INF Server endpoint will start at [http://{address}{}]",
        kiali.config.root
    ));
    let kiali = Arc::new(kiali);
    let serve = http::serve(listener, {
        let kiali = kiali.clone();
        move |call| routes::answer(kiali.clone(), call)
    });
    tokio::join!(serve, kiali.prometheus.connect(&container));
    1
}

/// The tag of its image.
fn version(container: &Container) -> String {
    let image = container.spec.image.as_deref();
    let tag = image
        .and_then(|image| image.rsplit_once(':'))
        .map(|(_, tag)| tag);
    tag.unwrap_or("unknown").to_string()
}
