//! Compares a row of the tables with a live object.

use serde_json::{Value, json};

use super::there;
use crate::support::Clusters;

/// An object that the guide creates.
pub struct Made {
    kind: (&'static str, &'static str),
    /// `namespace/name`.
    name: &'static str,
    same: Value,
    instead: Vec<Instead>,
}

/// An intended difference in a field.
struct Instead {
    at: &'static str,
    guide: Value,
    ours: Value,
    because: &'static str,
}

/// Describes an object, as in `made("v1", "Service", "kiali/prometheus", json!({…}))`. The given fields are as in the
/// guide. Nothing reads the other fields.
pub fn made(
    api_version: &'static str,
    kind: &'static str,
    name: &'static str,
    same: Value,
) -> Made {
    Made {
        kind: (api_version, kind),
        name,
        same,
        instead: Vec::new(),
    }
}

impl Made {
    /// Adds a field with a different value, at a JSON pointer. Null means that the field is absent.
    pub fn instead(
        mut self,
        at: &'static str,
        guide: Value,
        ours: Value,
        because: &'static str,
    ) -> Made {
        self.instead.push(Instead {
            at,
            guide,
            ours,
            because,
        });
        self
    }
}

pub async fn check(clusters: &Clusters, table: &[Made], on: &[&str]) {
    for made in table {
        for cluster in on {
            let live = there(clusters, cluster, made.kind, made.name).await;
            let what = format!("{cluster}: {} {}", made.kind.1, made.name);
            let missing = difference(&made.same, &live);
            assert_eq!(missing, None, "{what}: {live:#}");
            for instead in &made.instead {
                let is = live.pointer(instead.at).cloned().unwrap_or_default();
                assert_eq!(is, instead.ours, "{what} at {}", instead.at);
                let why = (instead.at, instead.because);
                assert_ne!(is, instead.guide, "{what} deviates no more: {why:?}");
            }
        }
    }
}

/// Returns the first difference. The live object may have more fields, but lists must be equal.
pub fn difference(wanted: &Value, live: &Value) -> Option<String> {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().find_map(|(key, value)| {
            let live = live.get(key).unwrap_or(&Value::Null);
            Some(format!(".{key}{}", difference(value, live)?))
        }),
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            let mut pairs = wanted.iter().zip(live).enumerate();
            pairs
                .find_map(|(i, (wanted, live))| Some(format!("[{i}]{}", difference(wanted, live)?)))
        }
        (wanted, live) => (wanted != live).then(|| format!(" is {live}, not {wanted}")),
    }
}

#[test]
fn a_difference_is_found_and_more_is_none() {
    let live = json!({"a": {"b": [{"c": 1, "d": 2}]}, "e": "f"});
    assert_eq!(difference(&json!({"a": {"b": [{"d": 2}]}}), &live), None);
    for (wanted, said) in [
        (json!({"a": {"b": [{"c": 2}]}}), ".a.b[0].c is 1, not 2"),
        (
            json!({"a": {"b": []}}),
            ".a.b is [{\"c\":1,\"d\":2}], not []",
        ),
        (json!({"g": true}), ".g is null, not true"),
    ] {
        assert_eq!(difference(&wanted, &live).as_deref(), Some(said));
    }
}
