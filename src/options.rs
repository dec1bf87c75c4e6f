//! The user's options for the objects of an install. They are stored as texts by name, so that the record keeps them
//! for the next run, including those of a later version that this version does not know.

mod valid;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::exposure::{ANNOTATION, Exposure, INTERNAL, MUTUAL_TLS, PROTOCOL, SOURCE_RANGE};
use crate::history::{self, History, RETENTION, STORAGE, STORAGE_CLASS};
use crate::images::Images;
use crate::login::{self, ANONYMOUS, AUTH, CLIENT_ID, ISSUER, Login, RBAC};
use crate::mesh::ClusterName;
use crate::metrics::{
    Interval, Limits, MAX_MEMORY, MAX_SERIES, METRICS, Metrics, Profile, SCRAPE_INTERVAL,
};
use crate::settings::Settings;
use crate::store::{self, STORE, Store};
use crate::{age, own_prometheus, shell};

/// Name of the option for the registry of all images.
pub const REGISTRY: &str = "registry";
/// Prefix of the option for the image of a component.
pub const IMAGE: &str = "image.";
/// Name of the option that lets Kiali change what it shows.
pub const ALLOW_WRITE: &str = "allow-write";
/// Name of the option for NetworkPolicies.
pub const NETWORK_POLICIES: &str = "network-policies";
/// Name of the option for the lifetime of the tokens for remotes.
pub const TOKEN_LIFETIME: &str = "token-lifetime";
/// The value that resets an option.
pub const DEFAULT: &str = "default";
/// The only value of an option that is on or off.
pub const ON: &str = "true";

/// Version of the format. It changes if the meaning of a name changes, but not for a new name.
const FORM: u32 = 1;

/// The options given on the command line, by name.
pub type Asked = BTreeMap<String, String>;

/// The options that differ from the default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Written")]
pub struct Options {
    version: u32,
    values: BTreeMap<String, String>,
}

/// Unvalidated options from a record or file, which others may have written.
#[derive(Deserialize)]
struct Written {
    version: u32,
    values: BTreeMap<String, String>,
}

/// The most options in a record.
const MOST: usize = 512;

impl TryFrom<Written> for Options {
    type Error = String;

    fn try_from(Written { version, values }: Written) -> Result<Options, String> {
        if values.len() > MOST {
            return Err(format!("{} options are too many", values.len()));
        }
        for (name, value) in &values {
            valid::readable(name, value)?;
            // The options of another format version cannot be validated.
            if version == FORM {
                valid::known(name, value)?;
            }
        }
        Ok(Options { version, values })
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            version: FORM,
            values: BTreeMap::new(),
        }
    }
}

impl Options {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub fn settings(&self) -> Settings {
        let named = |component| self.get(&format!("{IMAGE}{component}"));
        Settings {
            images: Images::named(self.get(REGISTRY), named),
            allow_write: self.allow_write(),
            exposure: Exposure::of(&self.values),
            network_policies: self.get(NETWORK_POLICIES).is_some(),
            login: Login::of(&self.values),
            metrics: Metrics::of(&self.values),
            history: History::of(&self.values),
            store: Store::of(&self.values),
            own_prometheus: own_prometheus::accesses(&self.values),
            token_lifetime: self.get(TOKEN_LIFETIME).and_then(|t| age::lifetime(t).ok()),
            every_token: false,
            every_ca: false,
        }
    }

    /// Whether Kiali may change what it shows. By default, it only looks.
    pub fn allow_write(&self) -> bool {
        self.get(ALLOW_WRITE).is_some()
    }

    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    pub fn is_default(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether this version knows the format.
    pub fn is_known(&self) -> bool {
        self.version == FORM
    }

    /// These options, overridden by those from the command line. An error if the result could not be read again.
    pub fn choose(&self, asked: &Asked) -> Result<Options, String> {
        let Options { version, values } = self.with(asked);
        let options = Options::try_from(Written { version, values })?;
        options.settings().exposure.check()?;
        login::check(&options.values, options.allow_write())?;
        history::check(&options.values)?;
        store::check(&options.values)?;
        Ok(options)
    }

    /// These options, overridden by those from the command line.
    pub fn with(&self, asked: &Asked) -> Options {
        let mut all = self.clone();
        if asked.get(AUTH).is_some_and(|value| value == DEFAULT) {
            // The rest of a login goes with it.
            let rest = |name: &String| !login::OF_LOGIN.contains(&name.as_str());
            all.values.retain(|name, _| rest(name));
        }
        if asked.get(STORAGE).is_some_and(|value| value == DEFAULT) {
            all.values.remove(STORAGE_CLASS);
        }
        // Headers and credentials for one store are not for another one.
        if asked
            .get(STORE)
            .is_some_and(|new| all.get(STORE) != Some(new))
        {
            all.values.retain(|name, _| !store::goes_with_store(name));
        }
        let before = Store::of(&all.values);
        let given = asked.iter().map(|(k, v)| (k.clone(), v.clone()));
        all.values.extend(given);
        all.values.retain(|_, value| value != DEFAULT);
        let now = Store::of(&all.values);
        if let (Some(before), Some(now)) = (before, &now)
            && !now.is_at_hosts_of(&before)
        {
            all.values
                .retain(|name, _| !store::is_of_host(name) || asked.contains_key(name));
        }
        if now.is_some_and(|now| !now.has_https()) && !asked.contains_key(store::CA) {
            all.values.remove(store::CA);
        }
        all
    }

    /// Without the options for a Prometheus of the user in clusters that do not take part, unless they are given now.
    pub fn without_others(mut self, clusters: &[&ClusterName], asked: &Asked) -> Options {
        self.values.retain(|name, _| {
            let mut of_cluster = own_prometheus::ALL
                .iter()
                .filter_map(|p| name.strip_prefix(p));
            let cluster = of_cluster.next();
            let takes_part = |name: &str| clusters.iter().any(|one| one.as_str() == name);
            cluster.is_none_or(takes_part) || asked.contains_key(name)
        });
        self
    }

    /// This option alone.
    pub fn only(mut self, name: &str) -> Options {
        self.values.retain(|other, _| other == name);
        self
    }

    /// The options that decide what runs and what it may do, as far as they differ from `others` and are not given on
    /// the command line.
    pub fn deciding_but(&self, others: &Options, asked: &Asked) -> Options {
        let chooses = |name: &String| {
            let whole = [
                REGISTRY,
                ALLOW_WRITE,
                NETWORK_POLICIES,
                SOURCE_RANGE,
                INTERNAL,
                PROTOCOL,
                AUTH,
                ISSUER,
                CLIENT_ID,
                RBAC,
                TOKEN_LIFETIME,
                STORAGE,
                STORAGE_CLASS,
                RETENTION,
            ];
            let parts = [IMAGE, ANNOTATION];
            let parts = parts.into_iter().chain(own_prometheus::ALL);
            whole.contains(&name.as_str())
                || parts.into_iter().any(|part| name.starts_with(part))
                || store::is_of_store(name)
        };
        let mut these = self.clone();
        these.values.retain(|name, value| {
            chooses(name) && !asked.contains_key(name) && others.get(name) != Some(value.as_str())
        });
        these
    }

    /// The options that narrow who reaches a Gateway, a server or Kiali's pages, or for how long a token is valid, or that
    /// keep data, and that `others` lack, except for those given on the command line.
    pub fn narrowing_but(&self, others: &Options, asked: &Asked) -> Options {
        const NARROW: [&str; 8] = [
            SOURCE_RANGE,
            INTERNAL,
            NETWORK_POLICIES,
            AUTH,
            RBAC,
            TOKEN_LIFETIME,
            STORAGE,
            RETENTION,
        ];
        let narrows = |name: &str| {
            // Without a store, the metrics of each cluster would be exposed.
            NARROW.contains(&name)
                || name.starts_with(ANNOTATION)
                || name.starts_with(own_prometheus::CA)
                || store::is_of_store(name)
        };
        let mut these = self.clone();
        these.values.retain(|name, _| {
            narrows(name) && !asked.contains_key(name) && others.get(name).is_none()
        });
        these
    }

    /// The flags that reset these options.
    pub fn flags_back(&self) -> String {
        let flags = self.values.keys().map(|name| flag(name, &default(name)));
        flags.collect::<Vec<_>>().join(" ")
    }

    /// The flags that set these options, to be used again.
    pub fn flags(&self) -> String {
        let flags = self.values.iter().map(|(name, value)| match name.as_str() {
            store::CA => format!("--{name} FILE"),
            _ => flag(name, value),
        });
        flags.collect::<Vec<_>>().join(" ")
    }

    /// The same to be read: in place of certificates, their fingerprint.
    pub fn shown(&self) -> String {
        let flags = self.values.iter();
        let flags = flags.map(|(name, value)| flag(name, &brief(name, value)));
        flags.collect::<Vec<_>>().join(" ")
    }

    /// The changed options, as in "--registry default -> r.example.com".
    pub fn changes(&self, now: &Options) -> Vec<String> {
        let names = self.values.keys().chain(now.values.keys());
        let names = names.collect::<std::collections::BTreeSet<_>>();
        let value = |options: &Options, name: &str| {
            let given = options.get(name).map(|value| brief(name, value));
            given.unwrap_or_else(|| default(name))
        };
        let changed = names.into_iter().filter(|n| self.get(n) != now.get(n));
        let said = |n: &String| match n.as_str() {
            ALLOW_WRITE | NETWORK_POLICIES | RBAC => {
                let is_on = |options: &Options| options.get(n).is_some();
                format!("--{n}={} -> {}", is_on(self), is_on(now))
            }
            AUTH => {
                let strategy = |options: &Options| options.get(n).unwrap_or(ANONYMOUS).to_string();
                format!("--{n} {} -> {}", strategy(self), strategy(now))
            }
            STORE => {
                let store = |options: &Options| options.get(n).unwrap_or(store::NONE).to_string();
                format!("--{n} {} -> {}", store(self), store(now))
            }
            _ => format!("{} -> {}", flag(n, &value(self, n)), value(now, n)),
        };
        changed.map(said).collect()
    }
}

/// The value that a user gives for the default.
fn default(name: &str) -> String {
    match name {
        PROTOCOL => MUTUAL_TLS.into(),
        METRICS => Profile::default().name().into(),
        SCRAPE_INTERVAL => Interval::default().to_string(),
        MAX_SERIES => Limits::default().series.to_string(),
        MAX_MEMORY => Limits::default().memory_quantity(),
        _ => DEFAULT.into(),
    }
}

/// A value as it is shown.
fn brief(name: &str, value: &str) -> String {
    match name {
        store::CA => store::ca::fingerprint(value),
        _ => value.into(),
    }
}

fn flag(name: &str, value: &str) -> String {
    if let Some(key) = name.strip_prefix(ANNOTATION) {
        return format!(
            "--gateway-annotation {}",
            shell::quoted(&format!("{key}={value}"))
        );
    }
    if let Some(header) = name.strip_prefix(store::HEADER) {
        let header = format!("{header}={value}");
        return format!("--store-header {}", shell::quoted(&header));
    }
    for prefix in own_prometheus::ALL {
        if let Some(cluster) = name.strip_prefix(prefix) {
            let flag = prefix.trim_end_matches('.');
            let value = format!("{cluster}={value}");
            return match prefix {
                own_prometheus::SELECTOR => format!("--{flag} {}", shell::quoted(&value)),
                _ => format!("--{flag} {value}"),
            };
        }
    }
    match (name, name.strip_prefix(IMAGE)) {
        (_, Some(component)) => format!("--image {component}={value}"),
        (ALLOW_WRITE | NETWORK_POLICIES | RBAC, _) if value == ON => format!("--{name}"),
        (ALLOW_WRITE | NETWORK_POLICIES | RBAC, _) => format!("--{name}=false"),
        (AUTH, _) if value == DEFAULT => format!("--{name} {ANONYMOUS}"),
        (STORE, _) if value == DEFAULT => format!("--{name} {}", store::NONE),
        (CLIENT_ID | ISSUER | STORE, _) => format!("--{name} {}", shell::quoted(value)),
        _ => format!("--{name} {value}"),
    }
}

#[cfg(test)]
mod tests;
