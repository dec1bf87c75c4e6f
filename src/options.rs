//! The user's options for the objects of an install. They are stored as texts by name, so that the record keeps them
//! for the next run, including those of a later version that this version does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::exposure::{
    self, ANNOTATION, Exposure, HTTP, INTERNAL, MUTUAL_TLS, PROTOCOL, SOURCE_RANGE,
};
use crate::history::{self, History, RETENTION, STORAGE, STORAGE_CLASS};
use crate::images::{self, COMPONENTS, Images};
use crate::login::{self, ANONYMOUS, AUTH, CLIENT_ID, ISSUER, Login, RBAC};
use crate::mesh::ClusterName;
use crate::metrics::{
    self, Interval, Limits, MAX_MEMORY, MAX_SERIES, METRICS, Metrics, Profile, SCRAPE_INTERVAL,
};
use crate::settings::Settings;
use crate::store::{self, STORE, Store};
use crate::{age, own_prometheus, shell, visible};

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

/// Limits for the number of options and the lengths of a name and a value.
const MOST: usize = 512;
const LONGEST_NAME: usize = 320;
const LONGEST: usize = 1024;

impl TryFrom<Written> for Options {
    type Error = String;

    fn try_from(Written { version, values }: Written) -> Result<Options, String> {
        if values.len() > MOST {
            return Err(format!("{} options are too many", values.len()));
        }
        for (name, value) in &values {
            readable(name, value)?;
            // The options of another format version cannot be validated.
            if version == FORM {
                known(name, value)?;
            }
        }
        Ok(Options { version, values })
    }
}

fn readable(name: &str, value: &str) -> Result<(), String> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || ['-', '.', '_', '/'].contains(&c);
    let good = (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(of_name)
        && (1..=longest(name)).contains(&value.len())
        && value.chars().all(|c| c.is_ascii_graphic());
    good.then_some(()).ok_or_else(|| {
        let name = visible::short(name, visible::SAID);
        format!(
            "option \"{}\" is not valid, or longer than {} characters",
            name.escape_debug(),
            longest(&name)
        )
    })
}

/// The certificates of a CA are the only long value.
fn longest(name: &str) -> usize {
    match name {
        store::CA => store::ca::LARGEST,
        _ => LONGEST,
    }
}

/// Validates a value with the parser of its flag.
fn known(name: &str, value: &str) -> Result<(), String> {
    if let Some(key) = name.strip_prefix(ANNOTATION) {
        exposure::annotation_key(key)?;
        return exposure::annotation_value(value).map(drop);
    }
    let of_module = login::known(name, value)
        .or_else(|| metrics::known(name, value))
        .or_else(|| store::known(name, value));
    if let Some(known) = of_module {
        return known;
    }
    if let Some(known) = history::known(name, value) {
        return known;
    }
    if let Some(known) = own_prometheus::known(name, value) {
        return known;
    }
    let component = name.strip_prefix(IMAGE);
    match (name, component) {
        (SOURCE_RANGE, _) if value.split(',').any(|range| range == DEFAULT) => Err(format!(
            "--{SOURCE_RANGE} {DEFAULT} does not go with other ranges"
        )),
        (SOURCE_RANGE, _) => exposure::source_ranges(value).map(drop),
        (PROTOCOL, _) if value != HTTP => Err(format!("\"{value}\" is no value of {name}")),
        (INTERNAL, _) => exposure::provider(value).map(drop),
        (REGISTRY, _) => images::registry(value).map(drop),
        (TOKEN_LIFETIME, _) => age::lifetime(value).map(drop),
        (ALLOW_WRITE | NETWORK_POLICIES | RBAC, _) if value != ON => {
            Err(format!("\"{value}\" is no value of {name}"))
        }
        (_, Some(component)) if COMPONENTS.contains(&component) => {
            images::reference(value).map(drop)
        }
        _ => Ok(()),
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
mod tests {
    use super::*;

    fn asked(options: &[(&str, &str)]) -> Asked {
        let words = options.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        words.collect()
    }

    #[test]
    fn options_are_kept_until_they_are_set_to_default() {
        let first = asked(&[("registry", "r.b"), ("image.kiali", "a/b:1")]);
        let first = Options::default().with(&first);
        assert_eq!(first.flags(), "--image kiali=a/b:1 --registry r.b");
        let second = first.with(&asked(&[
            ("image.kiali", "default"),
            ("image.prometheus", "p:2"),
        ]));
        assert_eq!(second.flags(), "--image prometheus=p:2 --registry r.b");
        assert_eq!(
            first.changes(&second),
            [
                "--image kiali=a/b:1 -> default",
                "--image prometheus=default -> p:2",
            ]
        );
        assert!(
            second
                .with(&asked(&[
                    ("image.prometheus", "default"),
                    ("registry", "default")
                ]))
                .is_default()
        );
    }

    #[test]
    fn writing_is_allowed_until_it_is_set_to_false() {
        let first = Options::default().with(&asked(&[(ALLOW_WRITE, ON)]));
        assert!(first.allow_write());
        assert_eq!(first.flags(), "--allow-write");
        assert_eq!(first.flags_back(), "--allow-write=false");
        let second = first.with(&asked(&[(ALLOW_WRITE, DEFAULT)]));
        assert!(!second.allow_write());
        assert_eq!(first.changes(&second), ["--allow-write=true -> false"]);
        assert_eq!(second.changes(&first), ["--allow-write=false -> true"]);
    }

    #[test]
    fn a_login_is_kept_until_it_is_set_to_anonymous() {
        let login = [
            (AUTH, "openid"),
            (ISSUER, "https://login.example.com"),
            (CLIENT_ID, "kiali"),
            (RBAC, ON),
        ];
        let first = Options::default().choose(&asked(&login)).unwrap();
        let flags = "--auth openid --oidc-client-id kiali --oidc-issuer https://login.example.com --oidc-rbac";
        assert_eq!(first.flags(), flags);
        assert!(first.settings().login.is_some());
        let lost = first.narrowing_but(&Options::default(), &Asked::new());
        assert_eq!(lost.flags(), "--auth openid --oidc-rbac");
        let moved = first.with(&asked(&[(ISSUER, "https://evil.example.com")]));
        let deciding = moved.deciding_but(&first, &Asked::new());
        assert_eq!(deciding.flags(), "--oidc-issuer https://evil.example.com");
        let second = first.choose(&asked(&[(AUTH, DEFAULT)])).unwrap();
        assert!(second.is_default());
        assert_eq!(
            first.changes(&second),
            [
                "--auth openid -> anonymous",
                "--oidc-client-id kiali -> default",
                "--oidc-issuer https://login.example.com -> default",
                "--oidc-rbac=true -> false",
            ]
        );
        let reset =
            "--auth anonymous --oidc-client-id default --oidc-issuer default --oidc-rbac=false";
        assert_eq!(first.flags_back(), reset);
        assert!(first.choose(&asked(&[(CLIENT_ID, DEFAULT)])).is_err());
    }

    #[test]
    fn a_claim_is_kept_until_it_is_set_to_default() {
        let history = [
            (STORAGE, "20Gi"),
            (STORAGE_CLASS, "fast"),
            (RETENTION, "30d"),
        ];
        let first = Options::default().choose(&asked(&history)).unwrap();
        assert_eq!(
            first.flags(),
            "--retention 30d --storage 20Gi --storage-class fast"
        );
        let lost = first.narrowing_but(&Options::default(), &Asked::new());
        assert_eq!(lost.flags(), "--retention 30d --storage 20Gi");
        let second = first.choose(&asked(&[(STORAGE, DEFAULT)])).unwrap();
        assert_eq!(second.flags(), "--retention 30d");
        assert_eq!(second.settings().history.storage, None);
        let class = Options::default().choose(&asked(&history[1..2]));
        assert_eq!(class.unwrap_err(), "--storage-class goes with --storage");
    }

    #[test]
    fn the_ca_of_a_store_goes_with_its_host_and_with_https() {
        let ca = store::ca::tests::value();
        let https = [
            (STORE, "prometheus=https://a.example.com"),
            (store::CA, &ca),
        ];
        let first = Options::default().choose(&asked(&https)).unwrap();
        assert!(first.settings().store.unwrap().ca.is_some());
        let store = "--store 'prometheus=https://a.example.com'";
        assert_eq!(first.flags(), format!("{store} --store-ca FILE"));
        let mark = store::ca::fingerprint(&ca);
        assert_eq!(first.shown(), format!("{store} --store-ca {mark}"));
        let moved = first.choose(&asked(&[(store::STORE_URL, "https://b.example.com")]));
        assert_eq!(moved.unwrap().get(store::CA), None);
        let path = first.choose(&asked(&[(store::STORE_URL, "https://a.example.com/p")]));
        assert!(path.unwrap().get(store::CA).is_some());
        let none = first.choose(&asked(&[(STORE, DEFAULT)])).unwrap();
        assert_eq!(
            first.changes(&none),
            [
                "--store prometheus=https://a.example.com -> none".to_string(),
                format!("--store-ca {mark} -> default"),
            ]
        );
        let plain = [(STORE, "prometheus=http://a.example.com"), (store::CA, &ca)];
        let refused = Options::default().choose(&asked(&plain)).unwrap_err();
        assert!(refused.contains("begins with https://"), "{refused}");
        let alone = Options::default().choose(&asked(&https[1..])).unwrap_err();
        assert!(alone.starts_with("--store-ca goes with --store"), "{alone}");
        // What others wrote into a record is parsed like a file.
        let bad = Options::default().choose(&asked(&[https[0], (store::CA, "AAAA")]));
        assert!(bad.is_err());
    }

    #[test]
    fn options_of_a_record_are_validated_like_flags() {
        let read = |name: &str, value: &str| {
            let text = serde_json::json!({"version": 1, "values": {name: value}});
            serde_json::from_value::<Options>(text)
        };
        assert!(read("registry", "r.example.com:5000/mirror").is_ok());
        assert!(read("image.kiali", "r.example.com/kiali:v2").is_ok());
        assert!(read("gateway-annotation.example.com/a", "b").is_ok());
        for (name, value) in [
            ("registry", "mirror"),
            ("registry", "r.example.com\n"),
            ("registry", "default"),
            ("image.kiali", "a b:1"),
            ("image.kiali", "evil"),
            ("image.kiali-operator", "a:1\n- command: [id]"),
            ("image.prometheus", ""),
            ("allow-write", "false"),
            ("allow-write", "default"),
            ("window", "\u{1b}[2J"),
            ("win\u{1b}dow", "6h"),
            ("window", &"x".repeat(LONGEST + 1)),
            ("gateway-source-range", "0.0.0.0/0"),
            ("gateway-source-range", "10.0.0.0/8]\n"),
            ("gateway-internal", "evil"),
            ("token-lifetime", "1m"),
            ("token-lifetime", "default"),
            (
                "gateway-annotation.networking.istio.io/service-type",
                "ClusterIP",
            ),
            ("gateway-annotation.a b", "c"),
            ("auth", "anonymous"),
            ("auth", "token"),
            ("oidc-issuer", "http://login.example.com"),
            ("oidc-client-id", "a b"),
            ("oidc-rbac", "false"),
            ("storage", "20"),
            ("storage", "default"),
            ("storage-class", "a b"),
            ("retention", "0d"),
        ] {
            assert!(read(name, value).is_err(), "{name} {value:?}");
        }
        let many = (0..513).map(|i| (format!("o{i}"), "1".to_string()));
        let many = serde_json::json!({"version": 1, "values": many.collect::<Asked>()});
        assert!(serde_json::from_value::<Options>(many).is_err());
    }

    #[test]
    fn an_option_of_a_later_version_is_kept_and_a_later_format_is_noticed() {
        let text = r#"{"version":1,"values":{"window":"6h"}}"#;
        let options: Options = serde_json::from_str(text).unwrap();
        assert!(options.is_known());
        assert_eq!(serde_json::to_string(&options).unwrap(), text);
        let later: Options = serde_json::from_str(r#"{"version":2,"values":{}}"#).unwrap();
        assert!(!later.is_known());
    }
}
