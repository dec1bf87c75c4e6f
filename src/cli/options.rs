//! Flags that an install remembers.

use std::path::PathBuf;

use clap::Args;

use super::images::or_default;
use super::store::Store;
use super::{INSTALLED, Images};
use crate::age;
use crate::exposure::{self, ANNOTATION, INTERNAL, MUTUAL_TLS, PROTOCOL, SOURCE_RANGE};
use crate::history::{self, RETENTION, STORAGE, STORAGE_CLASS};
use crate::login::{self, ANONYMOUS, AUTH, CLIENT_ID, ISSUER, RBAC};
use crate::mesh::ClusterName;
use crate::metrics::{
    self, Interval, Limits, MAX_MEMORY, MAX_SERIES, METRICS, Profile, SCRAPE_INTERVAL,
};
use crate::options::{ALLOW_WRITE, Asked, DEFAULT, NETWORK_POLICIES, ON, TOKEN_LIFETIME};
use crate::own_prometheus;
use crate::problem::Problem;

#[derive(Args, Debug)]
#[command(next_help_heading = INSTALLED)]
pub struct Options {
    #[command(flatten)]
    images: Images,
    /// Let Kiali change workloads and Istio's configuration in every cluster, for anyone who can reach it, as in the
    /// guide; "--allow-write=false" makes it view-only again
    #[arg(
        long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        hide_possible_values = true,
    )]
    allow_write: Option<bool>,
    /// How the Gateways answer: mtls lets in only the federating Prometheus, which proves itself with a certificate;
    /// http answers anyone who reaches a Gateway, as in the guide
    #[arg(long, value_name = "mtls|http", value_parser = exposure::protocol)]
    exposure: Option<String>,
    /// Network whose addresses the load balancers of the Gateways let in, such as that of home's egress; "default" lets
    /// in every address (repeatable)
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = source_range)]
    gateway_source_range: Vec<String>,
    /// Cloud provider whose internal load balancers the Gateways use: aws, gcp or azure; "default" leaves it to the
    /// cluster
    #[arg(long, value_name = "PROVIDER", value_parser = provider)]
    gateway_internal: Option<String>,
    /// Annotation of the Gateways' Services; "KEY=default" removes it (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = annotation)]
    gateway_annotation: Vec<(String, String)>,
    /// Write NetworkPolicies, so that only Kiali and the Gateways reach the Prometheus servers of the install, and all its
    /// pods work in namespaces that deny by default; "--network-policies=false" removes them
    #[arg(
        long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        hide_possible_values = true,
    )]
    network_policies: Option<bool>,
    /// Series that home pulls from each cluster: core is what Kiali reads, lean leaves out the percentiles of durations,
    /// and guide is every series of job kubernetes-pods [default: core]
    #[arg(long, value_name = "core|lean|guide", value_parser = profile)]
    metrics: Option<String>,
    /// Time between two scrapes, in each cluster and by home, from 5s to 5m [default: 15s]
    #[arg(long, value_name = "TIME", value_parser = interval)]
    scrape_interval: Option<String>,
    /// The most series that home takes from one cluster with one pull; "ambikiali estimate" tells how many there are
    /// [default: 180000]
    #[arg(long, value_name = "NUMBER", value_parser = max_series)]
    max_series: Option<String>,
    /// Memory limit of the federating Prometheus, such as 6Gi [default: 3Gi]
    #[arg(long, value_name = "SIZE", value_parser = max_memory)]
    max_memory: Option<String>,
    /// How users log in to Kiali: openid, through an OpenID Connect provider, or anonymous, without a login [default:
    /// anonymous]
    #[arg(long, value_name = "STRATEGY", value_parser = strategy)]
    auth: Option<String>,
    /// Issuer URL of the OpenID Connect provider, as in its tokens
    #[arg(long, value_name = "URL", value_parser = issuer)]
    oidc_issuer: Option<String>,
    /// Client that is registered for Kiali at the provider
    #[arg(long, value_name = "ID", value_parser = client_id)]
    oidc_client_id: Option<String>,
    /// Let each user see and do what the user's own rights in each cluster allow, in place of Kiali's; every API server
    /// must accept tokens of the issuer; "--oidc-rbac=false" uses Kiali's rights again
    #[arg(
        long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        hide_possible_values = true,
    )]
    oidc_rbac: Option<bool>,
    /// Keep the history of the federating Prometheus in a claim of this size, such as 20Gi, that outlives its pod; with
    /// "default", it is lost with the pod
    #[arg(long, value_name = "SIZE", value_parser = storage)]
    storage: Option<String>,
    /// StorageClass of the claim; "default" leaves it to the cluster
    #[arg(long, value_name = "NAME", value_parser = storage_class)]
    storage_class: Option<String>,
    /// How long the federating Prometheus keeps data, such as 36h or 30d [default: 15d]
    #[arg(long, value_name = "TIME", value_parser = retention)]
    retention: Option<String>,
    /// How home proves itself to the https Prometheus of a cluster (--prometheus2 https://...): with username and password,
    /// or with the token, of a Secret in Kiali's namespace of home; "NAME=default" removes it (repeatable)
    #[arg(long, value_name = "NAME=basic:SECRET|bearer:SECRET", value_parser = prometheus_auth)]
    prometheus_auth: Vec<(String, String)>,
    /// ConfigMap in Kiali's namespace of home whose ca.crt is the CA of the https Prometheus of a cluster; "NAME=default"
    /// trusts the CAs of the image (repeatable)
    #[arg(long, value_name = "NAME=CONFIGMAP", value_parser = prometheus_ca)]
    prometheus_ca: Vec<(String, String)>,
    /// Series to take from a cluster's own Prometheus (--prometheus2), by the values of labels, as in
    /// 'NAME={job="mesh"}'; "NAME=default" takes job kubernetes-pods (repeatable)
    #[arg(long, value_name = "NAME=SELECTOR", value_parser = prometheus_selector)]
    prometheus_selector: Vec<(String, String)>,
    #[command(flatten)]
    token: TokenLifetime,
    #[command(flatten)]
    store: Store,
}

/// Files that no install remembers.
#[derive(Args, Debug)]
#[command(next_help_heading = INSTALLED)]
pub struct LoginFiles {
    /// File with the secret of the client; without this flag, the secret in home stays as it is
    #[arg(long, value_name = "FILE")]
    oidc_client_secret_file: Option<PathBuf>,
    /// File with an ID token of the issuer for the client, to ask each API server whether it accepts such tokens; needed
    /// for --oidc-rbac
    #[arg(long, value_name = "FILE")]
    oidc_token_file: Option<PathBuf>,
}

impl LoginFiles {
    pub fn files(self) -> login::Files {
        login::Files {
            secret: self.oidc_client_secret_file,
            token: self.oidc_token_file,
        }
    }
}

#[derive(Args, Debug)]
#[command(next_help_heading = INSTALLED)]
pub struct TokenLifetime {
    /// Let the token for each remote end after this time, such as 24h, unless "ambikiali rotate" replaces it before; with
    /// "default", it is valid until it is replaced or removed
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    token_lifetime: Option<String>,
}

impl TokenLifetime {
    /// The flag as an option by name.
    pub fn asked(self) -> Asked {
        let given = self.token_lifetime.into_iter();
        given.map(|time| (TOKEN_LIFETIME.into(), time)).collect()
    }
}

impl Options {
    /// The flags as options by name. Reads a file, so it may block.
    pub fn asked(self) -> Result<Asked, Problem> {
        let mut asked = self.images.asked();
        let switches = [
            (ALLOW_WRITE, self.allow_write),
            (NETWORK_POLICIES, self.network_policies),
            (RBAC, self.oidc_rbac),
        ];
        asked.extend(switches.into_iter().filter_map(|(name, on)| {
            let value = if on? { ON } else { DEFAULT };
            Some((name.to_string(), value.to_string()))
        }));
        if !self.gateway_source_range.is_empty() {
            let ranges = self.gateway_source_range.join(",");
            asked.insert(SOURCE_RANGE.into(), ranges);
        }
        asked.extend(self.exposure.map(|protocol| match protocol.as_str() {
            MUTUAL_TLS => (PROTOCOL.into(), DEFAULT.into()),
            _ => (PROTOCOL.into(), protocol),
        }));
        let internal = self.gateway_internal;
        asked.extend(internal.map(|provider| (INTERNAL.into(), provider)));
        asked.extend(self.gateway_annotation);
        asked.extend(self.prometheus_auth);
        asked.extend(self.prometheus_ca);
        asked.extend(self.prometheus_selector);
        let parsed = [
            (STORAGE, self.storage),
            (STORAGE_CLASS, self.storage_class),
            (RETENTION, self.retention),
            (AUTH, self.auth),
            (ISSUER, self.oidc_issuer),
            (CLIENT_ID, self.oidc_client_id),
            (METRICS, self.metrics),
            (SCRAPE_INTERVAL, self.scrape_interval),
            (MAX_SERIES, self.max_series),
            (MAX_MEMORY, self.max_memory),
        ];
        let parsed = parsed.into_iter();
        asked.extend(parsed.filter_map(|(name, value)| Some((name.to_string(), value?))));
        asked.extend(self.token.asked());
        asked.extend(self.store.asked()?);
        Ok(asked)
    }
}

fn source_range(text: &str) -> Result<String, String> {
    or_default(text, exposure::source_ranges)
}

fn lifetime(text: &str) -> Result<String, String> {
    or_default(text, |text| age::lifetime(text).map(|_| text.into()))
}

fn provider(text: &str) -> Result<String, String> {
    or_default(text, exposure::provider)
}

fn storage(text: &str) -> Result<String, String> {
    or_default(text, history::storage)
}

fn storage_class(text: &str) -> Result<String, String> {
    or_default(text, history::class)
}

fn retention(text: &str) -> Result<String, String> {
    or_default(text, history::retention)
}

fn prometheus_auth(text: &str) -> Result<(String, String), String> {
    of_cluster(text, own_prometheus::AUTH, own_prometheus::auth)
}

fn prometheus_ca(text: &str) -> Result<(String, String), String> {
    of_cluster(text, own_prometheus::CA, own_prometheus::object)
}

fn prometheus_selector(text: &str) -> Result<(String, String), String> {
    of_cluster(text, own_prometheus::SELECTOR, own_prometheus::selector)
}

fn of_cluster(
    text: &str,
    prefix: &str,
    check: impl Fn(&str) -> Result<String, String>,
) -> Result<(String, String), String> {
    let (cluster, value) = text.split_once('=').ok_or("use NAME=VALUE")?;
    ClusterName::new(cluster)?;
    Ok((format!("{prefix}{cluster}"), or_default(value, check)?))
}

fn strategy(text: &str) -> Result<String, String> {
    Ok(match login::strategy(text)? {
        ANONYMOUS => DEFAULT,
        other => other,
    }
    .to_string())
}

fn issuer(text: &str) -> Result<String, String> {
    or_default(text, login::issuer)
}

fn client_id(text: &str) -> Result<String, String> {
    or_default(text, login::client_id)
}

fn profile(text: &str) -> Result<String, String> {
    or_default(text, |text| {
        let profile = text.parse::<Profile>()?;
        Ok(match profile == Profile::default() {
            true => DEFAULT,
            false => profile.name(),
        }
        .to_string())
    })
}

fn interval(text: &str) -> Result<String, String> {
    or_default(text, |text| {
        let interval = text.parse::<Interval>()?;
        Ok(match interval == Interval::default() {
            true => DEFAULT.into(),
            false => interval.to_string(),
        })
    })
}

fn max_series(text: &str) -> Result<String, String> {
    or_default(text, |text| {
        let is_default = metrics::max_series(text)? == Limits::default().series;
        Ok(if is_default { DEFAULT } else { text }.into())
    })
}

fn max_memory(text: &str) -> Result<String, String> {
    or_default(text, |text| {
        metrics::max_memory(text)?;
        let is_default = text == Limits::default().memory_quantity();
        Ok(if is_default { DEFAULT } else { text }.into())
    })
}

fn annotation(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("use KEY=VALUE")?;
    exposure::annotation_key(key).map_err(|why| format!("\"{key}\" {why}"))?;
    let value = or_default(value, exposure::annotation_value)?;
    Ok((format!("{ANNOTATION}{key}"), value))
}
