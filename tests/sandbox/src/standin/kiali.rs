//! The Kiali server. It answers the API by querying each cluster with the mounted kubeconfigs and the Prometheus of its
//! configuration, and fails like the real one if one of them is bad.
//!
//! What it cannot show: the UI, endpoints other than those below, the rights of users who log in, the health of workloads, waypoints in
//! the graph, kubeconfigs with exec, client certificates for a Prometheus, and how fast its watches notice a change. It
//! queries the clusters for each request, so a broken istiod shows at once and not after 20 s as with the real one.

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
mod login;
mod mesh;
mod prometheus;
mod promql;
mod routes;
mod start;
mod status;

/// A running Kiali server.
struct Kiali {
    config: Config,
    version: String,
    clusters: clusters::Clusters,
    prometheus: Prometheus,
    login: Option<login::Login>,
    container: Container,
}

/// Runs until it exits with a code or is dropped.
pub async fn run(container: Container) -> i32 {
    let fatal = |why: String| {
        container.log(format_args!("FTL {why}"));
        1
    };
    let mut config = match Config::read(&container) {
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
        prometheus: Prometheus::new(&mut config, &container),
        clusters,
        login: config
            .openid
            .clone()
            .map(|openid| login::Login::new(openid, &container)),
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

/// Returns the tag of its image.
fn version(container: &Container) -> String {
    let image = container.spec.image.as_deref();
    let tag = image
        .and_then(|image| image.rsplit_once(':'))
        .map(|(_, tag)| tag);
    tag.unwrap_or("unknown").to_string()
}
