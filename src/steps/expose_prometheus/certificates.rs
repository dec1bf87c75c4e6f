//! The certificates of the Gateway of a cluster: those in its Secret, and those that its pods use.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use super::{CLIENT, GatewayTls, PODS, PORT, TLS_FILES, objects, secret_id};
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::apply::{self, Applied, Before};
use crate::k8s::forward::{self, Target};
use crate::k8s::health::Health;
use crate::k8s::{FIELD_MANAGER, Scope, pods, secret, wait};
use crate::manifests;
use crate::mutual_tls::{self, Held, Pair, SERVER_NAME, Side};

/// istiod tells a Gateway within a second of another certificate.
const TOLD: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(5);
/// Costs the server nothing: no series has this name.
const PATH: &str = "/federate?match[]=none";

/// The certificates of the Gateway as they are, if its own is usable.
pub async fn held(scope: &Scope<'_>) -> Result<Option<Held>> {
    mutual_tls::held(scope, &secret_id(), Side::Server, TLS_FILES).await
}

/// Gives the manifest of the Secret the certificates that are there.
pub async fn keep_certificates(scope: &Scope<'_>, secret: &mut Value) -> Result<()> {
    let [certificate, key] = TLS_FILES;
    let names = [certificate, key, CLIENT].map(String::from);
    secret::keep(scope, secret, &names).await.map(drop)
}

/// Whether the Gateway lets in this client alone, or those that an unfinished rotation left. `Err` if its Secret cannot
/// be read.
pub async fn lets_in_only(scope: &Scope<'_>, client: &str) -> Result<bool> {
    let live = secret::live(scope, &secret_id()).await?.unwrap_or_default();
    let trusted = mutual_tls::certificates(&live, CLIENT)?;
    Ok(trusted.iter().all(|one| one == client) || !is_changed_by_others(&live))
}

/// Whether the Gateway lets in this client.
pub async fn trusts(scope: &Scope<'_>, client: &str) -> Result<bool> {
    let live = secret::live(scope, &secret_id()).await?.unwrap_or_default();
    let trusted = mutual_tls::certificates(&live, CLIENT)?;
    Ok(trusted.iter().any(|one| one == client))
}

/// The certificate of the Gateway, in PEM.
pub async fn certificate(scope: &Scope<'_>) -> Result<String> {
    let live = secret::live(scope, &secret_id()).await?.unwrap_or_default();
    let mut own = mutual_tls::certificates(&live, TLS_FILES[0])?;
    ensure!(own.len() == 1, "it has several certificates");
    Ok(own.remove(0))
}

/// Whether another field manager set the certificates that the Gateway trusts.
fn is_changed_by_others(secret: &Value) -> bool {
    let managers = secret["metadata"]["managedFields"].as_array();
    let field = format!("f:{CLIENT}");
    let mut managers = managers.into_iter().flatten();
    managers.any(|one| {
        one["manager"] != FIELD_MANAGER && one["fieldsV1"]["f:data"].get(&field).is_some()
    })
}

/// The certificates that the Gateway lets in.
pub fn trusted(held: &Held) -> String {
    held.trusted(CLIENT)
}

/// Writes the Secret alone.
pub async fn write_certificates(scope: &Scope<'_>, tls: &GatewayTls<'_>) -> Result<Applied> {
    let objects = objects(PORT, None, scope.settings, Some(tls))?;
    let secret = manifests::of_kind(&objects, "Secret")?;
    apply::apply(scope, secret, Before::Unknown).await
}

/// Waits until each pod of the Gateway lets in this client over a new connection, and presents this certificate.
pub async fn serves(scope: &Scope<'_>, own: &Pair, client: &Pair) -> Result<()> {
    until(scope, async |pod| match ask(scope, pod, client).await {
        Ok(Some(shown)) if own.is(&shown) => Health::Ready,
        Ok(_) => Health::InProgress(format!("Pod {pod} presents another certificate")),
        Err(error) => Health::InProgress(format!("Pod {pod} refuses its client: {error:#}")),
    })
    .await
}

/// Waits until each pod of the Gateway refuses this client over a new connection.
pub async fn refuses(scope: &Scope<'_>, client: &Pair) -> Result<()> {
    until(scope, async |pod| match ask(scope, pod, client).await {
        Ok(_) => Health::InProgress(format!("Pod {pod} lets in the certificate before it")),
        Err(error) if forward::tls::is_refusal(&error) => Health::Ready,
        Err(error) => Health::InProgress(format!("Pod {pod} does not answer: {error:#}")),
    })
    .await
}

async fn ask(
    scope: &Scope<'_>,
    pod: &str,
    client: &Pair,
) -> Result<Option<CertificateDer<'static>>> {
    let target = Target {
        namespace: ISTIO_NAMESPACE.into(),
        pod: pod.into(),
        port: PORT,
    };
    let config = client.config()?;
    forward::tls::get(scope, &target, config, SERVER_NAME, PATH, PATIENCE).await
}

/// Waits until each ready pod of the Gateway is as it should be.
async fn until(scope: &Scope<'_>, of_pod: impl AsyncFn(&str) -> Health) -> Result<()> {
    let id = secret_id();
    let waited = wait::poll(scope, &id, TOLD, async || {
        let pods = match pods::labelled(scope, ISTIO_NAMESPACE, PODS).await {
            Ok(pods) => pods,
            Err(error) => return Health::InProgress(format!("{error:#}")),
        };
        let ready = pods.iter().filter(|pod| pods::is_ready(pod));
        let names = ready.filter_map(|pod| pod.metadata.name.as_deref());
        let names = names.collect::<Vec<_>>();
        if names.is_empty() {
            return Health::InProgress("no pod of the Gateway is ready".into());
        }
        for name in names {
            match of_pod(name).await {
                Health::Ready => {}
                early => return early,
            }
        }
        Health::Ready
    });
    waited
        .await
        .map_err(|why| mutual_tls::not_in_use(scope, &id, &why).into())
}
