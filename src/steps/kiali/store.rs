//! Whether Kiali gets metrics from the user's store. Its own health checks prove little: a store may answer them without
//! the tenant or the password that a query needs. So Kiali is asked for a graph, which it makes from queries.

mod reached;

use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;

use super::{WEB_ROOT, graph};
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::Scope;
use crate::k8s::forward::{Connection, Target};
use crate::store::{Engine, Store, certificate_hint};
use crate::visible;

/// The version that VictoriaMetrics says of itself, whatever it is.
const OF_VICTORIA: &str = "2.24.0";

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    prometheus: Prometheus,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Prometheus {
    disabled_reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    external_services: Vec<Service>,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    #[serde(default)]
    version: String,
}

/// What Kiali tells of the store.
pub enum Seen {
    /// It answers Kiali's queries.
    Answers,
    /// Kiali asks for a login first, but names the store among the services that answer.
    Named,
    Broken(String),
}

pub async fn seen(scope: &Scope<'_>, target: &Target, store: &Store, patience: Duration) -> Seen {
    match look(scope, target, store, patience).await {
        Ok(seen) => seen,
        Err(error) => Seen::Broken(format!("{error:#}")),
    }
}

async fn look(
    scope: &Scope<'_>,
    target: &Target,
    store: &Store,
    patience: Duration,
) -> Result<Seen> {
    let mut kiali = Connection::open(scope, target, patience).await?;
    if scope.settings.login.is_some() {
        let status = kiali.get::<Status>(&format!("{WEB_ROOT}/api")).await?;
        return Ok(match status.version() {
            Some(_) => Seen::Named,
            None => reached::not_reached(scope, target, store, "").await,
        });
    }
    let config = kiali
        .get::<Config>(&format!("{WEB_ROOT}/api/config"))
        .await?;
    let reason = config.prometheus.disabled_reason;
    if !reason.is_empty() {
        return Ok(reached::not_reached(scope, target, store, &reason).await);
    }
    let window = graph::window(scope.settings.metrics.interval);
    let asked = graph::read(&mut kiali, [ISTIO_NAMESPACE], window).await;
    Ok(match asked {
        Ok(_) => Seen::Answers,
        Err(error) => {
            let error = format!("{error:#}");
            let hint = hint(&error, store);
            Seen::Broken(format!("Kiali's query fails: {error}{hint}"))
        }
    })
}

/// What is strange about the store for its preset. None if nothing is, or Kiali does not say it.
pub async fn mismatch(
    scope: &Scope<'_>,
    target: &Target,
    store: &Store,
    patience: Duration,
) -> Option<String> {
    let mut kiali = Connection::once(scope, target, patience).await.ok()?;
    let path = match scope.settings.login {
        Some(_) => "/api",
        None => "/api/status",
    };
    let status = kiali
        .get::<Status>(&format!("{WEB_ROOT}{path}"))
        .await
        .ok()?;
    is_other(store.engine, status.version()?)
}

impl Status {
    fn version(&self) -> Option<&str> {
        let mut all = self.external_services.iter();
        all.find(|s| s.name == "Prometheus")
            .map(|s| s.version.as_str())
    }
}

/// VictoriaMetrics can be told from the others by its version. Thanos has one below 1.
fn is_other(engine: Engine, version: &str) -> Option<String> {
    let of = |what: &str| {
        let version = visible::short(version, 40);
        Some(format!(
            "it says version {version}, which is that of {what}"
        ))
    };
    let is_victoria = version == OF_VICTORIA;
    match engine {
        Engine::Other => None,
        Engine::VictoriaMetrics if !is_victoria && version.starts_with("0.") => of("Thanos"),
        Engine::VictoriaMetrics if !is_victoria => of("no VictoriaMetrics"),
        Engine::VictoriaMetrics => None,
        Engine::Mimir | Engine::Thanos | Engine::Prometheus if is_victoria => of("VictoriaMetrics"),
        Engine::Mimir | Engine::Prometheus if version.starts_with("0.") => of("Thanos"),
        Engine::Mimir | Engine::Thanos | Engine::Prometheus => None,
    }
}

fn hint(error: &str, store: &Store) -> &'static str {
    let has = |word| error.contains(word);
    match () {
        () if has("401") || has("403") => match (&store.credentials, store.headers.is_empty()) {
            (None, true) => {
                "; the store wants a tenant or credentials: --store-header or --store-secret"
            }
            _ => "; the store refuses the tenant or the credentials",
        },
        () if has("404") => "; nothing answers queries there: give the whole --store-url",
        () if has("x509") => certificate_hint(error, store.ca.is_some()),
        () => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_for_another_engine_is_told_by_the_version() {
        for (engine, version, other) in [
            (Engine::VictoriaMetrics, "2.24.0", false),
            (Engine::VictoriaMetrics, "3.16.0", true),
            (Engine::VictoriaMetrics, "0.42.4", true),
            (Engine::Prometheus, "3.16.0", false),
            (Engine::Prometheus, "2.24.0", true),
            (Engine::Mimir, "unknown", false),
            (Engine::Mimir, "0.42.4", true),
            (Engine::Thanos, "0.42.4", false),
            (Engine::Other, "2.24.0", false),
        ] {
            assert_eq!(is_other(engine, version).is_some(), other, "{version}");
        }
    }

    #[test]
    fn whatever_kiali_tells_of_the_store_is_read_or_refused() {
        let config = r#"{"prometheus": {"enabled": false, "disabledReason": "Connecting"}}"#;
        let status = r#"{"externalServices": [{"name": "Prometheus", "version": "2.24.0"}]}"#;
        crate::fuzz::fuzz(
            "Kiali's answers about metrics",
            &[config, status],
            |input| {
                let _ = serde_json::from_slice::<Config>(input);
                if let Ok(status) = serde_json::from_slice::<Status>(input) {
                    status.version();
                }
            },
        );
    }
}
