//! Routes requests by path. If the strategy needs a login, everything about the mesh needs credentials.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use super::Kiali;
use super::http::{Answer, Call, error, json, text};
use super::{graph, login, mesh, status};

const PAGE: &str = "<!doctype html><title>Kiali</title><p>This Kiali is a stand-in: it answers Kiali's API \
     by asking both clusters and Prometheus, and has no pages of its own.";

pub(super) async fn answer(kiali: Arc<Kiali>, call: Call) -> Answer {
    let Some(path) = call.path.strip_prefix(&kiali.config.root) else {
        return error(StatusCode::NOT_FOUND, "404 page not found");
    };
    if let (Some(login), "" | "/") = (&kiali.login, path)
        && let Some(back) = login::end(&kiali, login, &call).await
    {
        return back;
    }
    match path {
        "/healthz" => return text(StatusCode::OK, "text/plain", ""),
        "/api" => return json(&status::status(&kiali).await),
        "/api/auth/info" => {
            return json(&json!({"strategy": kiali.config.strategy, "sessionInfo": {}}));
        }
        "/api/auth/openid_redirect" => match &kiali.login {
            Some(login) => return login::begin(&kiali, login, &call).await,
            None => {
                return text(
                    StatusCode::NOT_FOUND,
                    "text/plain",
                    "OpenId strategy is not enabled",
                );
            }
        },
        "" | "/" | "/console" => return text(StatusCode::OK, "text/html", PAGE),
        _ if path.starts_with("/console/") => return text(StatusCode::OK, "text/html", PAGE),
        _ => {}
    }
    let is_known = match &kiali.login {
        Some(login) => login.knows(&call),
        None => kiali.config.strategy == "anonymous" || call.credential,
    };
    if !is_known {
        return error(StatusCode::UNAUTHORIZED, "no session");
    }
    let result = match path {
        "/api/status" => Ok(status::status(&kiali).await),
        "/api/config" => Ok(status::config(&kiali).await),
        "/api/namespaces" => status::namespaces(&kiali).await,
        "/api/istio/status" => mesh::components(&kiali).await,
        "/api/mesh/controlplanes" => mesh::control_planes(&kiali).await,
        "/api/namespaces/graph" => return graph::graph(&kiali, &call.query).await,
        _ => return error(StatusCode::NOT_FOUND, "404 page not found"),
    };
    match result {
        Ok(value) => json(&value),
        Err(why) => error(StatusCode::INTERNAL_SERVER_ERROR, why),
    }
}
