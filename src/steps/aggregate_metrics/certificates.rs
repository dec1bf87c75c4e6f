//! The certificates of the federating Prometheus: those in its Secret, and those in the files of its pod.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::config::gateway_file;
use super::{CONTAINER, MOUNTED, PODS, ScrapeTarget, TLS_FILES, on, secret_id};
use crate::k8s::apply::{self, Applied};
use crate::k8s::health::Health;
use crate::k8s::{Scope, pods, secret, wait};
use crate::manifests;
use crate::mesh::ClusterName;
use crate::mutual_tls::{self, Held, Pair, Side};

const PATIENCE: Duration = Duration::from_secs(10);
/// The folder of the files in the pod.
const FOLDER: &str = "/etc/prometheus";

/// What the Secret of the federating Prometheus has.
pub struct HomeTls<'a> {
    pub own: &'a Pair,
    /// The certificates that each Gateway may present, in PEM.
    pub gateways: BTreeMap<ClusterName, String>,
}

impl HomeTls<'_> {
    pub fn data(&self, targets: &[ScrapeTarget]) -> Value {
        let [certificate, key] = TLS_FILES;
        let mut data = json!({
            certificate: mutual_tls::data(&self.own.certificate), key: self.own.key_data(),
        });
        for target in targets.iter().filter(|target| target.mutual_tls) {
            if let Some(trusted) = self.gateways.get(&target.cluster) {
                data[gateway_file(&target.cluster)] = mutual_tls::data(trusted);
            }
        }
        data
    }
}

/// The certificates of the federating Prometheus as they are, if its own is usable.
pub async fn held(scope: &Scope<'_>) -> Result<Option<Held>> {
    mutual_tls::held(scope, &secret_id(scope), Side::Client, TLS_FILES).await
}

/// The certificate of the federating Prometheus, in PEM.
pub async fn certificate(scope: &Scope<'_>) -> Result<String> {
    let live = secret::live(scope, &secret_id(scope)).await?;
    let mut own = mutual_tls::certificates(&live.unwrap_or_default(), TLS_FILES[0])?;
    ensure!(own.len() == 1, "it has several certificates");
    Ok(own.remove(0))
}

/// Whether the federating Prometheus trusts this certificate as that of a Gateway.
pub async fn trusts(scope: &Scope<'_>, gateway: &ClusterName, certificate: &str) -> Result<bool> {
    let live = secret::live(scope, &secret_id(scope)).await?;
    let live = live.unwrap_or_default();
    let trusted = mutual_tls::certificates(&live, &gateway_file(gateway))?;
    Ok(trusted.iter().any(|one| one == certificate))
}

/// The names of all values of the Secret, which are those of the files.
pub fn files(targets: &[ScrapeTarget]) -> impl Iterator<Item = String> {
    let own = TLS_FILES.into_iter().map(String::from);
    own.chain(gateway_files(targets))
}

/// The names of the values with the certificates of the Gateways.
pub fn gateway_files(targets: &[ScrapeTarget]) -> impl Iterator<Item = String> {
    let gateways = targets.iter().filter(|target| target.mutual_tls);
    gateways.map(|target| gateway_file(&target.cluster))
}

/// Gives the manifest of the Secret the certificates that are there, except for those of Gateways that are not scraped.
/// Returns the Secret that is there.
pub async fn keep_certificates(
    scope: &Scope<'_>,
    targets: &[ScrapeTarget],
    secret: &mut Value,
) -> Result<Option<Value>> {
    secret::keep(scope, secret, &files(targets).collect::<Vec<_>>()).await
}

/// Writes the Secret alone. Gateways that `tls` does not name keep their certificates.
pub async fn write_certificates(
    scope: &Scope<'_>,
    targets: &[ScrapeTarget],
    tls: &HomeTls<'_>,
) -> Result<Applied> {
    let objects = on(scope, targets, scope.settings, None)?;
    let mut secret = manifests::of_kind(&objects, "Secret")?.clone();
    let live = keep_certificates(scope, targets, &mut secret).await?;
    if let Value::Object(data) = tls.data(targets) {
        for (name, value) in data {
            secret["data"][name] = value;
        }
    }
    apply::apply_over(scope, &secret, live).await
}

/// The certificates that home trusts as that of a Gateway.
pub fn trusted(held: &Held, gateway: &ClusterName) -> String {
    held.trusted(&gateway_file(gateway))
}

/// Waits until the files of the pod are those of the Secret. Prometheus reads them again for each new connection.
pub async fn mounted(scope: &Scope<'_>, targets: &[ScrapeTarget], written: &Applied) -> Result<()> {
    let id = secret_id(scope);
    let digests = digests(&written.live, targets)?;
    let waited = wait::poll(scope, &id, MOUNTED, async || {
        match shown(scope, &digests).await {
            Ok(shown) if shown == digests => Health::Ready,
            Ok(_) => Health::InProgress(
                "the files of the pod are older: the kubelet writes them soon".into(),
            ),
            Err(error) => Health::InProgress(format!("{error:#}")),
        }
    });
    waited
        .await
        .map_err(|why| mutual_tls::not_in_use(scope, &id, &why).into())
}

/// The digests of the certificates of a Secret by the path of each file. That of the key stays in the cluster.
fn digests(secret: &Value, targets: &[ScrapeTarget]) -> Result<BTreeMap<String, String>> {
    let certificates = files(targets).filter(|name| name.ends_with(".crt"));
    let digest = |name: String| {
        let text = mutual_tls::text(&secret["data"], &name).map_err(anyhow::Error::msg)?;
        Ok((format!("{FOLDER}/{name}"), manifests::hash(&text)))
    };
    certificates.map(digest).collect()
}

/// The digests of these files in the pod that runs.
async fn shown(
    scope: &Scope<'_>,
    files: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let pod = pods::ready(scope, scope.namespace, PODS).await?;
    let pod = pod.ok_or_else(|| anyhow::anyhow!("no pod of the federating Prometheus is ready"))?;
    let paths = files.keys().map(String::as_str);
    let command = std::iter::once("sha256sum")
        .chain(paths)
        .collect::<Vec<_>>();
    let namespace = scope.namespace;
    let output = pods::exec(scope, namespace, &pod, CONTAINER, &command, PATIENCE).await?;
    let lines = output
        .stdout
        .lines()
        .filter_map(|line| line.split_once("  "));
    Ok(lines
        .map(|(digest, path)| (path.to_string(), digest.to_string()))
        .collect())
}
