//! A store of the user's own for the metrics of all clusters: each cluster's Prometheus writes to it, and Kiali queries
//! it. Nothing here installs or sizes one. Values may come from a record that others wrote, so each is parsed strictly.

pub mod ca;
mod header;
mod objects;
mod preset;

use std::collections::BTreeMap;

use http::Uri;

pub use header::{header_name, header_value};
pub use objects::{CA_FILE, CLIENT_FILE};
use preset::Preset;

use crate::own_prometheus;

/// Names of the options.
pub const STORE: &str = "store";
pub const STORE_URL: &str = "store-url";
pub const WRITE_URL: &str = "remote-write-url";
pub const HEALTH_URL: &str = "store-health-url";
pub const SECRET: &str = "store-secret";
pub const CA: &str = "store-ca";
/// Prefix of the option for a header.
pub const HEADER: &str = "store-header.";
/// The value of --store without a store, which is the default.
pub const NONE: &str = "none";

/// Length of a URL.
const LONGEST: usize = 512;

/// What a store is known to do differently from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Named by its URLs alone.
    Other,
    Mimir,
    VictoriaMetrics,
    Thanos,
    Prometheus,
}

impl Engine {
    /// The most labels that a series may have by default, with its name. None for any number.
    pub fn most_labels(self) -> Option<usize> {
        match self {
            Engine::Mimir => Some(30),
            Engine::VictoriaMetrics => Some(40),
            Engine::Other | Engine::Thanos | Engine::Prometheus => None,
        }
    }

    /// What becomes of a series with more labels.
    pub fn beyond(self) -> &'static str {
        match self {
            Engine::VictoriaMetrics => "drops it and says nothing",
            _ => "refuses it, and the Prometheus that sent it drops it",
        }
    }

    /// For how many seconds a new sample is hidden from queries by default.
    pub fn offset(self) -> u64 {
        match self {
            Engine::VictoriaMetrics => 30,
            _ => 0,
        }
    }

    /// Whether Kiali must be told the scrape interval, because the store answers no question about its configuration.
    fn is_asked_in_vain(self) -> bool {
        self != Engine::Prometheus
    }
}

/// The keys of the user's Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Its keys `username` and `password`.
    Basic(String),
    /// Its key `token`.
    Bearer(String),
}

impl Credentials {
    pub fn secret(&self) -> &str {
        match self {
            Credentials::Basic(name) | Credentials::Bearer(name) => name,
        }
    }

    pub fn keys(&self) -> &'static [&'static str] {
        match self {
            Credentials::Basic(_) => &["username", "password"],
            Credentials::Bearer(_) => &["token"],
        }
    }
}

#[derive(Clone, Debug)]
pub struct Store {
    pub engine: Engine,
    /// What Kiali queries, from home.
    pub url: String,
    /// Where each cluster writes to.
    pub write_url: String,
    /// What Kiali asks whether the store works, if it is not below `url`.
    pub health_url: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub credentials: Option<Credentials>,
    /// The certificates of its CA, as the option has them.
    pub ca: Option<String>,
}

impl Store {
    /// None without a store, and for options that do not describe one.
    pub fn of(options: &BTreeMap<String, String>) -> Option<Store> {
        let get = |name: &str| options.get(name).cloned();
        let preset = get(STORE).and_then(|text| text.parse::<Preset>().ok());
        let (engine, filled) = match preset {
            Some(preset) => (preset.engine, preset),
            None => (Engine::Other, Preset::default()),
        };
        let mut headers = filled.headers;
        let own = options.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(HEADER)?;
            Some((name.to_string(), value.clone()))
        });
        let own = own.collect::<BTreeMap<_, _>>();
        // Prometheus would send one of two that differ in case alone, by chance.
        headers.retain(|name, _| !own.keys().any(|own| own.eq_ignore_ascii_case(name)));
        headers.extend(own);
        Some(Store {
            engine,
            url: get(STORE_URL).or(filled.url)?,
            write_url: get(WRITE_URL).or(filled.write_url)?,
            health_url: get(HEALTH_URL).or(filled.health_url),
            headers,
            credentials: get(SECRET).and_then(|text| credentials(&text).ok()),
            ca: get(CA).filter(|value| ca::parse(value).is_ok()),
        })
    }

    /// Whether nothing is sent to or asked of another host than those of `other`.
    pub fn is_at_hosts_of(&self, other: &Store) -> bool {
        let host = |url: &str| url.split('/').nth(2).map(str::to_string);
        host(&self.url) == host(&other.url) && host(&self.write_url) == host(&other.write_url)
    }

    /// Whether a certificate of it is ever seen.
    pub fn has_https(&self) -> bool {
        self.urls().any(is_https)
    }

    /// Every URL of it.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        let both = [self.url.as_str(), self.write_url.as_str()].into_iter();
        both.chain(self.health_url.as_deref())
    }
}

fn is_https(url: &str) -> bool {
    url.starts_with("https://")
}

/// Whether an option is about the store.
pub fn is_of_store(name: &str) -> bool {
    let whole = [STORE, STORE_URL, WRITE_URL, HEALTH_URL, SECRET, CA];
    whole.contains(&name) || name.starts_with(HEADER)
}

/// Whether an option goes with those of another store when the user names a new one.
pub fn goes_with_store(name: &str) -> bool {
    name != STORE && is_of_store(name)
}

/// Whether an option is for one host and no other.
pub fn is_of_host(name: &str) -> bool {
    [SECRET, CA].contains(&name) || name.starts_with(HEADER)
}

/// Checks options that are valid one by one.
pub fn check(options: &BTreeMap<String, String>) -> Result<(), String> {
    let headers = options.keys().filter_map(|name| name.strip_prefix(HEADER));
    let mut headers = headers.map(str::to_ascii_lowercase).collect::<Vec<_>>();
    headers.sort_unstable();
    if let Some(twice) = headers.windows(2).find(|two| two[0] == two[1]) {
        return Err(format!("--store-header {} is given twice", twice[0]));
    }
    if let Some(store) = Store::of(options) {
        return match store.ca.is_none() || store.has_https() {
            true => Ok(()),
            false => Err(format!(
                "--{CA} goes with a URL of the store that begins with https://"
            )),
        };
    }
    let Some(first) = options.keys().find(|name| is_of_store(name)) else {
        return Ok(());
    };
    let has = |name| options.contains_key(name);
    Err(match (has(STORE_URL), has(WRITE_URL)) {
        (true, _) => format!("--{STORE_URL} needs --{WRITE_URL}"),
        (_, true) => format!("--{WRITE_URL} needs --{STORE_URL}"),
        _ => {
            let flag = if first.starts_with(HEADER) {
                "store-header"
            } else {
                first
            };
            format!("--{flag} goes with --{STORE}, or with --{STORE_URL} and --{WRITE_URL}")
        }
    })
}

/// A preset, as it is remembered.
pub fn preset(text: &str) -> Result<String, String> {
    text.parse::<Preset>().map(|_| text.into())
}

/// A URL without anything that could be a secret or a query.
pub fn url(text: &str) -> Result<String, String> {
    let bare = ["https://", "http://"]
        .into_iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let bare = bare.ok_or("use http://HOST or https://HOST")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]".contains(c);
    if text.len() > LONGEST || !text.chars().all(plain) {
        return Err(format!(
            "a URL of a store has no user, query, fragment or escape, and at most {LONGEST} characters"
        ));
    }
    let uri = text.parse::<Uri>().map_err(|_| "not a URL")?;
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16());
    let authority = bare.split('/').next().unwrap_or_default();
    let has_port = authority.len() == host.len() || port.is_some_and(|port| port > 0);
    let path = &bare[authority.len()..];
    let is_clean = !path.contains("//") && !path.split('/').any(|part| part.starts_with('.'));
    match !host.is_empty() && has_port && is_clean {
        true => Ok(text.trim_end_matches('/').into()),
        false => Err("use http://HOST or https://HOST, and an optional port and path".into()),
    }
}

/// `NAME` of a Secret with username and password, or `NAME:token` of one with a token.
pub fn credentials(text: &str) -> Result<Credentials, String> {
    let (name, key) = match text.split_once(':') {
        Some((name, key)) => (name, Some(key)),
        None => (text, None),
    };
    own_prometheus::object(name).map_err(|_| "use the name of a Secret")?;
    match key {
        None => Ok(Credentials::Basic(name.into())),
        Some("token") => Ok(Credentials::Bearer(name.into())),
        Some(_) => Err(
            "use NAME for a Secret with username and password, or NAME:token for one with a token"
                .into(),
        ),
    }
}

/// What to do about a certificate of a store that Go's TLS, that of Prometheus and of Kiali, does not accept.
pub fn certificate_hint(cause: &str, has_ca: bool) -> &'static str {
    match (cause.contains("unknown authority"), has_ca) {
        (true, false) => "; give the CA that signed the certificate of the store: --store-ca FILE",
        (true, true) => {
            "; the certificate of the store is not of the CA in --store-ca: give the one that signed it"
        }
        (false, _) => "; the certificate of the store is not valid for its URL",
    }
}

/// Validates the value of an option; None for the name of another one.
pub fn known(name: &str, value: &str) -> Option<Result<(), String>> {
    if let Some(header) = name.strip_prefix(HEADER) {
        return Some(header_name(header).and(header_value(value)).map(drop));
    }
    match name {
        STORE => Some(preset(value).map(drop)),
        STORE_URL | WRITE_URL | HEALTH_URL => Some(url(value).map(drop)),
        SECRET => Some(credentials(value).map(drop)),
        CA => Some(ca::parse(value).map(drop)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
