//! `prometheus.yml` of the federating Prometheus as types, so that a name or an address can never break it. It is
//! parsed again before it is written: Prometheus accepts an empty target, and then scrapes itself under the name of
//! the other cluster.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ScrapeTarget;
use crate::manifests;
use crate::mesh::ClusterName;
use crate::metrics::{Interval, Limits, MAX_SERIES, Metrics, Profile};
use crate::mutual_tls::SERVER_NAME;
use crate::own_prometheus::{self, Accesses, Kind};

const JOB: &str = "federate-";

/// The files with which the federating Prometheus proves itself to the Gateways.
pub const CLIENT_CERTIFICATE: &str = "client.crt";
pub const CLIENT_KEY: &str = "client.key";

// Limits for what one cluster may send besides those that an option sets. manifests/README.md tells how they were
// chosen.
const LABELS: u32 = 128;
const LABEL_NAME: u32 = 512;
const LABEL_VALUE: u32 = 4096;

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusConfig {
    global: Global,
    scrape_configs: Vec<ScrapeConfig>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Global {
    /// Kiali offers no duration below twice this value, so it is the interval of the federation.
    scrape_interval: String,
    scrape_timeout: String,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ScrapeConfig {
    job_name: String,
    honor_labels: bool,
    /// `/federate` sends timestamps. Without this setting, a series that is gone would stay for five minutes.
    track_timestamps_staleness: bool,
    /// A redirect would let a remote choose what is requested in home's network.
    follow_redirects: bool,
    sample_limit: u32,
    body_size_limit: String,
    label_limit: u32,
    label_name_length_limit: u32,
    label_value_length_limit: u32,
    /// Prometheus' default is HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheme: Option<Scheme>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls_config: Option<TlsConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    basic_auth: Option<BasicAuth>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authorization: Option<Authorization>,
    metrics_path: String,
    params: Params,
    static_configs: Vec<StaticConfig>,
    metric_relabel_configs: Vec<Relabel>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    Https,
}

/// Paths are relative to the configuration file.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TlsConfig {
    ca_file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cert_file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct BasicAuth {
    username_file: String,
    password_file: String,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Authorization {
    credentials_file: String,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(rename = "match[]")]
    matches: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StaticConfig {
    targets: Vec<String>,
    labels: Labels,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    cluster: String,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Relabel {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    regex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replacement: Option<String>,
}

/// Prometheus' default is to replace.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    LabelDrop,
}

impl Relabel {
    fn replace(label: &str, value: String) -> Relabel {
        Relabel {
            action: None,
            regex: None,
            target_label: Some(label.into()),
            replacement: Some(value),
        }
    }

    fn drop(labels: String) -> Relabel {
        Relabel {
            action: Some(Action::LabelDrop),
            regex: Some(labels),
            target_label: None,
            replacement: None,
        }
    }
}

/// The job that scrapes a cluster.
pub fn job(cluster: &ClusterName) -> String {
    format!("{JOB}{cluster}")
}

/// The scrape target of each cluster in a configuration, whoever wrote it.
pub fn targets(text: &str) -> Vec<ScrapeTarget> {
    let config: Value = manifests::from_yaml(text).unwrap_or_default();
    let jobs = config["scrape_configs"].as_array().into_iter().flatten();
    let target = |found: &Value| {
        let cluster = found["job_name"].as_str()?.strip_prefix(JOB)?;
        let is_https = found["scheme"] == "https";
        let mutual_tls = is_https && found["tls_config"]["cert_file"].is_string();
        let path = found["metrics_path"].as_str().unwrap_or_default();
        let path = path.strip_suffix("/federate").unwrap_or_default();
        Some(ScrapeTarget {
            cluster: ClusterName::new(cluster).ok()?,
            address: found
                .pointer("/static_configs/0/targets/0")?
                .as_str()?
                .into(),
            mutual_tls,
            https: (is_https && !mutual_tls).then(|| path.into()),
        })
    };
    jobs.filter_map(target).collect()
}

pub fn target(text: &str, cluster: &ClusterName) -> Option<ScrapeTarget> {
    targets(text).into_iter().find(|t| t.cluster == *cluster)
}

/// What a configuration pulls, as far as it can be parsed.
pub fn metrics(text: &str) -> Metrics {
    let config: Value = manifests::from_yaml(text).unwrap_or_default();
    let jobs = config["scrape_configs"].as_array();
    let pulls = |profile: &Profile| {
        let selectors = profile.selectors().into();
        let mut jobs = jobs.into_iter().flatten();
        jobs.any(|job| job.pointer("/params/match[]") == Some(&selectors))
    };
    let interval = config["global"]["scrape_interval"].as_str();
    let series = jobs.and_then(|jobs| jobs.first()?["sample_limit"].as_u64());
    let series = series.map(|series| (MAX_SERIES.to_string(), series.to_string()));
    let limits = series.into_iter().collect();
    Metrics {
        profile: Profile::ALL.into_iter().find(pulls).unwrap_or_default(),
        interval: interval
            .and_then(|text| text.parse::<Interval>().ok())
            .unwrap_or_default(),
        limits: Limits::of(&limits),
    }
}

/// The file with the certificate of a cluster's Gateway.
pub fn gateway_file(cluster: &ClusterName) -> String {
    format!("gateway-{cluster}.crt")
}

impl PrometheusConfig {
    pub fn federating(
        targets: &[ScrapeTarget],
        metrics: Metrics,
        accesses: &Accesses,
    ) -> PrometheusConfig {
        let interval = metrics.interval;
        let scraped = targets.iter().map(|one| scrape(one, metrics, accesses));
        PrometheusConfig {
            global: Global {
                scrape_interval: interval.to_string(),
                scrape_timeout: format!("{}s", interval.timeout().as_secs()),
            },
            scrape_configs: scraped.collect(),
        }
    }

    /// This configuration without the jobs of these clusters. None if it is not one that an install writes.
    pub fn without(text: &str, leaving: &[ClusterName]) -> Option<PrometheusConfig> {
        let mut config: PrometheusConfig = manifests::from_yaml(text).ok()?;
        let leaves = |one: &ScrapeConfig| leaving.iter().any(|left| one.job_name == job(left));
        config.scrape_configs.retain(|one| !leaves(one));
        Some(config)
    }

    /// The text for the ConfigMap, parsed again and checked.
    pub fn render(&self) -> Result<String> {
        let text = manifests::to_yaml(self)?;
        let back: PrometheusConfig = manifests::from_yaml(&text)?;
        ensure!(
            back == *self,
            "the rendered prometheus.yml reads back as something else"
        );
        back.check()?;
        Ok(text)
    }

    fn check(&self) -> Result<()> {
        let mut jobs = self
            .scrape_configs
            .iter()
            .map(|c| c.job_name.as_str())
            .collect::<Vec<_>>();
        jobs.sort_unstable();
        let all = jobs.len();
        jobs.dedup();
        ensure!(
            jobs.len() == all,
            "two clusters would share one scrape job: {jobs:?}"
        );
        let targets = self
            .scrape_configs
            .iter()
            .flat_map(|c| &c.static_configs)
            .flat_map(|s| &s.targets);
        for target in targets {
            let (host, port) = target.rsplit_once(':').unwrap_or_default();
            ensure!(
                !host.is_empty() && port.parse::<u16>().is_ok(),
                "scrape target \"{target}\" has no host or no port"
            );
        }
        Ok(())
    }
}

fn tls_config(target: &ScrapeTarget, accesses: &Accesses) -> Option<TlsConfig> {
    if target.mutual_tls {
        return Some(TlsConfig {
            ca_file: gateway_file(&target.cluster),
            cert_file: Some(CLIENT_CERTIFICATE.into()),
            key_file: Some(CLIENT_KEY.into()),
            server_name: Some(SERVER_NAME.into()),
        });
    }
    target.https.as_ref()?;
    Some(TlsConfig {
        ca_file: accesses.get(&target.cluster)?.ca_file(&target.cluster)?,
        cert_file: None,
        key_file: None,
        server_name: None,
    })
}

/// The series to take. Those of our own Prometheus need no other selector.
fn selectors(target: &ScrapeTarget, profile: Profile, accesses: &Accesses) -> Vec<String> {
    let access = accesses.get(&target.cluster).filter(|_| !target.mutual_tls);
    match access.and_then(|access| access.selector.as_deref()) {
        Some(selector) => profile.selectors_within(selector),
        None => profile.selectors(),
    }
}

fn scrape(target: &ScrapeTarget, metrics: Metrics, accesses: &Accesses) -> ScrapeConfig {
    let Metrics {
        profile, limits, ..
    } = metrics;
    let cluster = target.cluster.to_string();
    // With honor_labels, a series would keep a `cluster` label of its own.
    let named = Relabel::replace("cluster", cluster.clone());
    let dropped = profile.dropped_labels().map(Relabel::drop);
    let auth = accesses
        .get(&target.cluster)
        .and_then(|one| one.auth.as_ref());
    // Credentials go over https alone.
    let kind = auth
        .filter(|_| target.https.is_some())
        .map(|auth| auth.kind);
    let file = |key| own_prometheus::file(&target.cluster, key);
    ScrapeConfig {
        job_name: job(&target.cluster),
        honor_labels: true,
        track_timestamps_staleness: true,
        follow_redirects: false,
        sample_limit: limits.series,
        // Prometheus counts a megabyte as 2^20 bytes.
        body_size_limit: format!("{}MB", limits.mebibytes()),
        label_limit: LABELS,
        label_name_length_limit: LABEL_NAME,
        label_value_length_limit: LABEL_VALUE,
        scheme: (target.mutual_tls || target.https.is_some()).then_some(Scheme::Https),
        tls_config: tls_config(target, accesses),
        basic_auth: (kind == Some(Kind::Basic)).then(|| BasicAuth {
            username_file: file("username"),
            password_file: file("password"),
        }),
        authorization: (kind == Some(Kind::Bearer)).then(|| Authorization {
            credentials_file: file("token"),
        }),
        metrics_path: target.path(),
        params: Params {
            matches: selectors(target, profile, accesses),
        },
        static_configs: vec![StaticConfig {
            targets: vec![target.address.clone()],
            labels: Labels { cluster },
        }],
        metric_relabel_configs: std::iter::once(named).chain(dropped).collect(),
    }
}

#[cfg(test)]
mod tests;
