//! The Kiali operator. It reads Kiali CRs and writes Kiali's objects, because the real one is Ansible in a container
//! image. It acts only with its pod's ServiceAccount, so a missing rule in the installer's ClusterRole fails here too,
//! and so does the API server's check for privilege escalation.
//!
//! What it cannot show: Ingress, autoscaler and disruption budget of a Kiali CR, credentials from Secrets,
//! `spec.version` pins, namespace-scoped access, OpenShift, the operator's memory, and what it prints about Secrets in
//! its debug log.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::StatusCode;
use tokio::net::TcpListener;

use super::container::Container;
use super::kiali::http;
use settings::Settings;

mod apply;
mod conditions;
mod config;
mod controller;
mod deployment;
mod objects;
mod rbac;
mod reconcile;
mod remove;
mod secrets;
mod settings;
mod validate;

/// The field manager of the finalizer and the conditions. The roles write with another one.
const MANAGER: &str = "ansible-operator";
const ROLES_MANAGER: &str = "OpenAPI-Generator";

struct Operator {
    container: Container,
    settings: Settings,
}

/// Runs until it exits with a code or is dropped.
pub async fn run(container: Container) -> i32 {
    let settings = match Settings::of(&container.spec, &container.pod) {
        Ok(settings) => settings,
        Err(why) => {
            container.log(format_args!("error: failed to load watches: {why}"));
            return 1;
        }
    };
    let operator = Arc::new(Operator {
        container,
        settings,
    });
    tokio::select! {
        code = probes(&operator.container) => code,
        () = controller::run(operator.clone()) => 1,
        () = secrets::run(&operator) => 1,
    }
}

/// Serves the probes. As in the real one, Ready says nothing about the watches.
async fn probes(container: &Container) -> i32 {
    let address = SocketAddr::new(IpAddr::V4(container.ip), 6789);
    let listener = match TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(why) => {
            container.log(format_args!("error: cannot listen on {address}: {why}"));
            return 1;
        }
    };
    http::serve(listener, |call: http::Call| async move {
        match call.path.as_str() {
            "/readyz" | "/healthz" => http::text(StatusCode::OK, "text/plain", "ok"),
            _ => http::text(StatusCode::NOT_FOUND, "text/plain", "404 page not found"),
        }
    })
    .await
}
