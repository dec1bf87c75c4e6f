//! What a user may choose about the objects of an install. They are words by name, so that the record can
//! keep them for the next run, and a later version's too, which this one does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Of all images.
pub const REGISTRY: &str = "registry";
/// What comes before the component whose image it is.
pub const IMAGE: &str = "image.";
/// The way back from what was chosen once.
pub const DEFAULT: &str = "default";

/// Changes when a name gets another meaning; a new name is no change.
const FORM: u32 = 1;

/// What a user says now, by the names of the options.
pub type Asked = BTreeMap<String, String>;

/// Those that are not the default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Options {
    version: u32,
    values: BTreeMap<String, String>,
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

    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    pub fn is_default(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether what the names mean is known here.
    pub fn is_known(&self) -> bool {
        self.version == FORM
    }

    /// After the user chose these now; the rest stays.
    pub fn with(&self, asked: &Asked) -> Options {
        let mut all = self.clone();
        let asked = asked.iter().map(|(k, v)| (k.clone(), v.clone()));
        all.values.extend(asked);
        all.values.retain(|_, value| value != DEFAULT);
        all
    }

    /// As they are typed.
    pub fn flags(&self) -> String {
        let flags = self.values.iter().map(|(name, value)| flag(name, value));
        flags.collect::<Vec<_>>().join(" ")
    }

    /// What became of each that is another one now: "--registry default -> r.example.com".
    pub fn changes(&self, now: &Options) -> Vec<String> {
        let names = self.values.keys().chain(now.values.keys());
        let names = names.collect::<std::collections::BTreeSet<_>>();
        let value =
            |options: &Options, name: &str| options.get(name).unwrap_or(DEFAULT).to_string();
        let changed = names.into_iter().filter(|n| self.get(n) != now.get(n));
        let said = |n: &String| format!("{} -> {}", flag(n, &value(self, n)), value(now, n));
        changed.map(said).collect()
    }
}

fn flag(name: &str, value: &str) -> String {
    match name.strip_prefix(IMAGE) {
        Some(component) => format!("--image {component}={value}"),
        None => format!("--{name} {value}"),
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
    fn what_is_not_asked_for_stays_and_default_is_the_way_back() {
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
    fn a_name_of_a_later_version_is_kept_and_a_later_meaning_is_noticed() {
        let text = r#"{"version":1,"values":{"retention":"6h"}}"#;
        let options: Options = serde_json::from_str(text).unwrap();
        assert!(options.is_known());
        assert_eq!(serde_json::to_string(&options).unwrap(), text);
        let later: Options = serde_json::from_str(r#"{"version":2,"values":{}}"#).unwrap();
        assert!(!later.is_known());
    }
}
