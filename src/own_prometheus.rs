//! How home scrapes Prometheus servers of the user: which series it takes and, over https, whom it trusts and how it proves
//! itself. The latter two are objects of the user in Kiali's namespace of home, which are mounted. Values may come from a record that others wrote,
//! so each is parsed strictly.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::mesh::ClusterName;

/// Prefixes of the options, followed by the name of a cluster.
pub const AUTH: &str = "prometheus-auth.";
pub const CA: &str = "prometheus-ca.";
pub const SELECTOR: &str = "prometheus-selector.";
pub const ALL: [&str; 3] = [AUTH, CA, SELECTOR];

const LONGEST_SELECTOR: usize = 512;

/// How the name of a file of the user begins.
const FILE: &str = "own-";
/// The key of a ConfigMap with a CA.
const CA_KEY: &str = "ca.crt";

/// Whom to trust and how to log in, by the cluster.
pub type Accesses = BTreeMap<ClusterName, Access>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// ConfigMap with the CA; None for the CAs of the image.
    pub ca: Option<String>,
    pub auth: Option<Auth>,
    /// The series that home takes; None for those of the job that Istio's sample has.
    pub selector: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    pub kind: Kind,
    /// The Secret with the credentials.
    pub secret: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Basic,
    Bearer,
}

impl Kind {
    /// The keys of the Secret, as in those of Kubernetes for the same purpose.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Kind::Basic => &["username", "password"],
            Kind::Bearer => &["token"],
        }
    }
}

impl Access {
    /// The objects that are mounted, with the keys that they must have.
    pub fn mounted(&self) -> Vec<(&'static str, &str, &'static [&'static str])> {
        let ca = self.ca.as_deref();
        let ca = ca.map(|name| ("ConfigMap", name, &[CA_KEY] as &'static [&'static str]));
        let auth = self.auth.as_ref();
        let auth = auth.map(|auth| ("Secret", auth.secret.as_str(), auth.kind.keys()));
        ca.into_iter().chain(auth).collect()
    }

    /// The sources of the volume with the configuration.
    pub fn sources(&self, cluster: &ClusterName) -> Vec<Value> {
        let source = |(kind, name, keys): (&str, &str, &[&str])| {
            let items = keys
                .iter()
                .map(|key| json!({"key": key, "path": file(cluster, key)}));
            let source = json!({"name": name, "items": items.collect::<Vec<_>>()});
            match kind {
                "Secret" => json!({"secret": source}),
                _ => json!({"configMap": source}),
            }
        };
        self.mounted().into_iter().map(source).collect()
    }

    /// The file with the CA.
    pub fn ca_file(&self, cluster: &ClusterName) -> Option<String> {
        self.ca.as_ref().map(|_| file(cluster, CA_KEY))
    }
}

/// The file of a key, beside the configuration.
pub fn file(cluster: &ClusterName, key: &str) -> String {
    format!("{FILE}{cluster}-{key}")
}

/// Whether this is such a file.
pub fn is_file(path: &str) -> bool {
    path.starts_with(FILE)
}

/// Whether this is a file for this cluster.
pub fn is_file_of(cluster: &ClusterName, path: &str) -> bool {
    let keys = [CA_KEY]
        .into_iter()
        .chain(Kind::Basic.keys().iter().copied());
    let mut keys = keys.chain(Kind::Bearer.keys().iter().copied());
    keys.any(|key| file(cluster, key) == path)
}

/// The parts of options that are valid.
pub fn accesses(options: &BTreeMap<String, String>) -> Accesses {
    let mut all = Accesses::new();
    for (name, value) in options {
        if let Some(cluster) = cluster(name, AUTH) {
            all.entry(cluster).or_default().auth = parsed(value);
        }
        if let Some(cluster) = cluster(name, CA) {
            all.entry(cluster).or_default().ca = Some(value.clone());
        }
        if let Some(cluster) = cluster(name, SELECTOR) {
            all.entry(cluster).or_default().selector = Some(value.clone());
        }
    }
    all
}

fn cluster(name: &str, prefix: &str) -> Option<ClusterName> {
    ClusterName::new(name.strip_prefix(prefix)?).ok()
}

/// Validates the value of an option; None for the name of another one.
pub fn known(name: &str, value: &str) -> Option<Result<(), String>> {
    let check = |cluster: &str, value: Result<String, String>| {
        ClusterName::new(cluster).and(value).map(drop)
    };
    let prefix = ALL.into_iter().find(|prefix| name.starts_with(prefix))?;
    let value = match prefix {
        AUTH => auth(value),
        CA => object(value),
        _ => selector(value),
    };
    Some(check(&name[prefix.len()..], value))
}

fn parsed(text: &str) -> Option<Auth> {
    let (kind, secret) = text.split_once(':')?;
    let kind = match kind {
        "basic" => Kind::Basic,
        "bearer" => Kind::Bearer,
        _ => return None,
    };
    let secret = object(secret).ok()?;
    Some(Auth { kind, secret })
}

/// Parses `basic:SECRET` or `bearer:SECRET`.
pub fn auth(text: &str) -> Result<String, String> {
    let said = "use basic:SECRET or bearer:SECRET";
    parsed(text).map(|_| text.into()).ok_or(said.into())
}

/// Parses a selector of series by the values of labels, as in `{job="mesh"}`.
pub fn selector(text: &str) -> Result<String, String> {
    let said = "use {LABEL=\"VALUE\"}, as in {job=\"mesh\"}, with more labels after commas";
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    let of_label = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let of_value = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    let is_matcher = |text: &str| {
        let Some((label, value)) = text.split_once('=') else {
            return false;
        };
        let value = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        !label.is_empty()
            && label.chars().all(of_label)
            && !label.starts_with(|c: char| c.is_ascii_digit())
            && value.is_some_and(|value| !value.is_empty() && value.chars().all(of_value))
    };
    let good = text.len() <= LONGEST_SELECTOR
        && inner.is_some_and(|inner| inner.split(',').all(is_matcher));
    good.then(|| text.to_string()).ok_or_else(|| said.into())
}

/// Parses the name of an object.
pub fn object(text: &str) -> Result<String, String> {
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(outer)
            && label.ends_with(outer)
            && label.chars().all(|c| outer(c) || c == '-')
    };
    let good = text.len() <= 253 && text.split('.').all(is_label);
    good.then(|| text.to_string())
        .ok_or_else(|| "not the name of an object".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_that_the_user_names_are_mounted() {
        let options = [
            ("prometheus-auth.west", "basic:west-metrics"),
            ("prometheus-ca.west", "west-ca"),
            ("prometheus-auth.east", "bearer:east"),
            ("registry", "r.b"),
        ];
        let options = options.map(|(k, v)| (k.to_string(), v.to_string()));
        let all = accesses(&options.into());
        let west = ClusterName::new("west").expect("a name");
        let sources = json!([
            {"configMap": {"name": "west-ca", "items": [{"key": "ca.crt", "path": "own-west-ca.crt"}]}},
            {"secret": {"name": "west-metrics", "items": [
                {"key": "username", "path": "own-west-username"},
                {"key": "password", "path": "own-west-password"},
            ]}},
        ]);
        assert_eq!(json!(all[&west].sources(&west)), sources);
        let east = ClusterName::new("east").expect("a name");
        assert_eq!(
            all[&east].mounted(),
            [("Secret", "east", &["token"] as &[&str])]
        );
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn an_access_is_parsed_strictly() {
        for (name, value) in [
            ("prometheus-auth.west", "basic:a.b-c"),
            ("prometheus-auth.west", "bearer:a"),
            ("prometheus-ca.west", "bundle"),
            ("prometheus-selector.west", "{job=\"mesh\"}"),
            ("prometheus-selector.west", "{job=\"a/b\",_x=\"1\"}"),
        ] {
            assert_eq!(known(name, value), Some(Ok(())), "{name} {value}");
        }
        for (name, value) in [
            ("prometheus-auth.west", "a"),
            ("prometheus-auth.west", "digest:a"),
            ("prometheus-auth.west", "basic:"),
            ("prometheus-auth.west", "basic:../a"),
            ("prometheus-auth.a b", "basic:a"),
            ("prometheus-ca.west", "A"),
            ("prometheus-ca.", "a"),
            ("prometheus-selector.west", "mesh"),
            ("prometheus-selector.west", "{}"),
            ("prometheus-selector.west", "{job=mesh}"),
            ("prometheus-selector.west", "{job=\"\"}"),
            ("prometheus-selector.west", "{job=~\".*\"}"),
            ("prometheus-selector.west", "{job=\"a\\\"\"}"),
            ("prometheus-selector.west", "{job=\"a\"}[1h]"),
            ("prometheus-selector.west", "{1a=\"a\"}"),
            ("prometheus-selector.west", "{job=\"a\",}"),
        ] {
            assert!(
                known(name, value).is_some_and(|k| k.is_err()),
                "{name} {value}"
            );
        }
        assert_eq!(known("registry", "a"), None);
    }
}
