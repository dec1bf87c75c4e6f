//! Queries the Prometheus of Kiali's configuration. There is no cluster DNS, so Service names are resolved with home's
//! API.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use kube::Client;
use reqwest::header::HOST;
use reqwest::{Certificate, Url};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::config::{Auth, Config};
use crate::standin::container::Container;
use crate::standin::service;

pub(super) struct Prometheus {
    enabled: bool,
    url: String,
    health_check_url: String,
    headers: Vec<(String, String)>,
    auth: Auth,
    told: Option<(String, String)>,
    cluster: Client,
    http: Mutex<Option<Trusting>>,
    /// The mounted CAs, which are trusted besides those of the image. The file may come and change while Kiali runs.
    bundle: Option<PathBuf>,
    /// All metrics are empty until Prometheus has answered once.
    connected: AtomicBool,
}

/// The client for a bundle.
struct Trusting {
    bundle: Vec<u8>,
    client: reqwest::Client,
}

impl Prometheus {
    pub(super) fn new(config: &mut Config, container: &Container) -> Prometheus {
        let cluster = container.cluster.client();
        let settings = &mut config.prometheus;
        let health = match settings.health_check_url.as_str() {
            "" => format!("{}/-/healthy", settings.url),
            url => url.to_string(),
        };
        Prometheus {
            enabled: settings.enabled,
            url: settings.url.clone(),
            health_check_url: health,
            headers: std::mem::take(&mut settings.headers),
            auth: std::mem::replace(&mut settings.auth, Auth::None),
            told: settings.told.take(),
            cluster,
            http: Mutex::default(),
            bundle: container.path("/kiali-cabundle/additional-ca-bundle.pem"),
            connected: AtomicBool::new(false),
        }
    }

    /// Retries until Prometheus answers once. Never checks again.
    pub(super) async fn connect(&self, container: &Container) {
        while self.enabled
            && let Err(why) = self.health().await
        {
            container.log(format_args!(
                "WRN Prometheus unreachable at [{0}] (status 0): Get \"{0}\": {why:#}. Retrying in 30s",
                self.health_check_url
            ));
            let delays = container.world.delays();
            sleep(if delays.probes {
                Duration::from_secs(30)
            } else {
                Duration::from_millis(500)
            })
            .await;
        }
        self.connected.store(self.enabled, Ordering::Relaxed);
    }

    pub(super) fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(super) async fn healthy(&self) -> bool {
        self.enabled && self.health().await.is_ok()
    }

    /// Asked without the headers, as the real one does.
    async fn health(&self) -> Result<()> {
        self.get(&self.health_check_url, &[], &[]).await.map(drop)
    }

    fn client(&self) -> Result<reqwest::Client> {
        let file = self.bundle.as_ref();
        let bundle = file
            .and_then(|file| std::fs::read(file).ok())
            .unwrap_or_default();
        let mut http = self.http.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(known) = http.as_ref().filter(|known| known.bundle == bundle) {
            return Ok(known.client.clone());
        }
        // Ignores a proxy from the environment of this machine, which the cluster does not have.
        let client = reqwest::Client::builder().no_proxy();
        let cas = Certificate::from_pem_bundle(&bundle)?;
        let client = match cas.is_empty() {
            true => client.build()?,
            false => client.tls_certs_merge(cas).build()?,
        };
        *http = Some(Trusting {
            bundle,
            client: client.clone(),
        });
        Ok(client)
    }

    pub(super) async fn version(&self) -> Option<String> {
        let info = self.api("status/buildinfo", &[]).await.ok()?;
        info["version"].as_str().map(String::from)
    }

    /// Settings for /api/config, in seconds.
    pub(super) async fn settings(&self) -> Value {
        if !self.connected() {
            let why = "Connecting to Prometheus, metrics features are temporarily unavailable";
            return json!({"enabled": false, "disabledReason": why});
        }
        if let Some((interval, retention)) = &self.told {
            return json!({
                "enabled": true,
                "globalScrapeInterval": seconds(interval).unwrap_or(15),
                "storageTsdbRetention": seconds(retention).unwrap_or(15 * 86400),
            });
        }
        let (config, runtime) = tokio::join!(
            self.api("status/config", &[]),
            self.api("status/runtimeinfo", &[])
        );
        let config = config.map(|c| c["yaml"].as_str().unwrap_or_default().to_string());
        let config: Value = serde_yaml::from_str(&config.unwrap_or_default()).unwrap_or_default();
        let interval = config["global"]["scrape_interval"]
            .as_str()
            .and_then(seconds);
        let retention = runtime
            .ok()
            .and_then(|r| seconds(r["storageRetention"].as_str()?));
        json!({
            "enabled": true,
            "globalScrapeInterval": interval.unwrap_or(15),
            "storageTsdbRetention": retention.unwrap_or(15 * 86400),
        })
    }

    /// Returns the labels and values of an instant query.
    pub(super) async fn query(&self, query: &str, time: Option<&str>) -> Result<Vec<(Value, f64)>> {
        let mut parameters = vec![("query", query)];
        parameters.extend(time.map(|time| ("time", time)));
        let data = self.api("query", &parameters).await?;
        let samples = data["result"].as_array().context("no result")?.iter();
        let value = |sample: &Value| sample["value"][1].as_str().and_then(|v| v.parse().ok());
        Ok(samples
            .filter_map(|s| Some((s["metric"].clone(), value(s)?)))
            .collect())
    }

    async fn api(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        ensure!(self.enabled, "disabled");
        let text = self
            .get(&format!("{}/api/v1/{path}", self.url), query, &self.headers)
            .await?;
        let mut body: Value = serde_json::from_str(&text)?;
        Ok(body["data"].take())
    }

    async fn get(
        &self,
        url: &str,
        query: &[(&str, &str)],
        headers: &[(String, String)],
    ) -> Result<String> {
        let mut url = Url::parse(url)?;
        let host = url.host_str().context("a URL without a host")?.to_string();
        let port = url
            .port_or_known_default()
            .context("a URL without a port")?;
        let bare = host.trim_matches(['[', ']']);
        if bare.parse::<std::net::IpAddr>().is_err() {
            let pod = service::resolve(&self.cluster, &host, port).await?;
            let moved = url
                .set_ip_host(pod.ip())
                .and_then(|()| url.set_port(Some(pod.port())));
            ensure!(moved.is_ok(), "{url} cannot be resolved");
        }
        let mut asked = self
            .client()?
            .get(url)
            .query(query)
            .header(HOST, format!("{host}:{port}"));
        for (name, value) in headers {
            asked = asked.header(name, value);
        }
        asked = match &self.auth {
            Auth::None => asked,
            Auth::Basic(username, password) => asked.basic_auth(username, Some(password)),
            Auth::Bearer(token) => asked.bearer_auth(token),
        };
        let answer = asked.timeout(Duration::from_secs(30)).send().await;
        let answer = answer.map_err(as_go_says)?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{status}: {text}");
        }
        Ok(text)
    }
}

/// The message of Go's client for a certificate that nobody signed whom it trusts.
fn as_go_says(error: reqwest::Error) -> anyhow::Error {
    match format!("{error:?}").contains("UnknownIssuer") {
        true => anyhow!(
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        ),
        false => error.into(),
    }
}

/// Parses a Prometheus duration such as `15s`, `1m30s` or `15d`.
fn seconds(text: &str) -> Option<u64> {
    let text = text.split(" or ").next()?;
    let mut total = 0;
    let mut number = 0;
    for c in text.chars() {
        match (c, c.to_digit(10)) {
            (_, Some(digit)) => number = number * 10 + u64::from(digit),
            ('s', _) => total += std::mem::take(&mut number),
            ('m', _) => total += std::mem::take(&mut number) * 60,
            ('h', _) => total += std::mem::take(&mut number) * 3600,
            ('d', _) => total += std::mem::take(&mut number) * 86400,
            ('w', _) => total += std::mem::take(&mut number) * 604_800,
            ('y', _) => total += std::mem::take(&mut number) * 31_536_000,
            _ => return None,
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_prometheus_durations() {
        assert_eq!(seconds("15s"), Some(15));
        assert_eq!(seconds("1m30s"), Some(90));
        assert_eq!(seconds("15d"), Some(1_296_000));
        assert_eq!(seconds("15d or 10GiB"), Some(1_296_000));
        assert_eq!(seconds("soon"), None);
    }
}
