//! Finds the paths at which two values differ. List items with a name are matched by it, as the API server does
//! when it merges them.

use std::fmt;

use serde_json::{Map, Value};

use super::defaults;

/// Fields that identify an item of a list.
const NAMES: [&str; 2] = ["name", "mountPath"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Key(String),
    /// A list item, by the field that identifies it.
    Item(&'static str, String),
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Path(Vec<Part>);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Key(key) if key.contains(['.', '/']) => write!(f, "['{key}']"),
            Part::Key(key) => write!(f, ".{key}"),
            Part::Item(_, name) => write!(f, "[{name}]"),
        })
    }
}

impl Path {
    fn with(&self, part: Part) -> Path {
        let mut path = self.clone();
        path.0.push(part);
        path
    }

    /// The value at this path.
    pub fn of<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, part| match part {
            Part::Key(key) => value.get(key),
            Part::Item("", number) => value.get(number.parse::<usize>().ok()?),
            Part::Item(by, name) => item(value.as_array()?, by, name),
        })
    }

    /// Whether one path is a prefix of the other.
    pub fn meets(&self, other: &Path) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }

    /// The path as a pattern, in which every list item is `[]`.
    pub fn pattern(&self) -> String {
        let any = |part: &Part| match part {
            Part::Key(key) => format!(".{key}"),
            Part::Item(..) => "[]".into(),
        };
        self.0.iter().map(any).collect()
    }

    /// Whether a manager's fieldsV1 contain this path or a part of it.
    pub fn is_in(&self, fields: &Value) -> bool {
        let mut at = fields;
        for part in &self.0 {
            let inner = at.as_object().into_iter().flatten();
            let mut inner = inner.filter(|(key, _)| *key != ".").peekable();
            // A list or map that is set as a whole.
            if inner.peek().is_none() {
                return at != fields;
            }
            let found = inner.find(|(key, _)| match part {
                Part::Key(name) => key.strip_prefix("f:") == Some(name),
                Part::Item(by, name) => key
                    .strip_prefix("k:")
                    .and_then(|key| serde_json::from_str::<Value>(key).ok())
                    .is_some_and(|key| key[*by] == name.as_str()),
            });
            match found {
                Some((_, inner)) => at = inner,
                None => return false,
            }
        }
        true
    }
}

/// The field that uniquely identifies each item of both lists.
fn named_by(lists: [&[Value]; 2]) -> Option<&'static str> {
    let names = |by: &str, list: &[Value]| {
        let names = list.iter().map(|item| item[by].as_str());
        let mut names = names.collect::<Option<Vec<_>>>().unwrap_or_default();
        names.sort_unstable();
        names.dedup();
        names.len() == list.len()
    };
    let all = |by: &&&str| lists.iter().all(|list| names(by, list));
    NAMES.iter().find(all).copied()
}

fn item<'a>(list: &'a [Value], by: &str, name: &str) -> Option<&'a Value> {
    list.iter().find(|item| item[by] == name)
}

/// The paths at which `now` differs from `then`.
pub fn differing(now: &Value, then: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    compare(Path::default(), Some(now), Some(then), &mut found);
    found
}

fn compare(path: Path, now: Option<&Value>, then: Option<&Value>, found: &mut Vec<Path>) {
    match (now, then) {
        (now, then) if now == then => {}
        (Some(Value::Object(now)), Some(Value::Object(then))) => {
            for key in now
                .keys()
                .chain(then.keys().filter(|k| !now.contains_key(*k)))
            {
                let path = path.with(Part::Key(key.clone()));
                compare(path, now.get(key), then.get(key), found);
            }
        }
        (Some(Value::Array(now)), Some(Value::Array(then))) => match named_by([now, then]) {
            Some(by) => {
                let names = now.iter().chain(then).filter_map(|item| item[by].as_str());
                let mut seen = Vec::new();
                for name in names {
                    if !seen.contains(&name) {
                        seen.push(name);
                        let path = path.with(Part::Item(by, name.into()));
                        compare(path, item(now, by, name), item(then, by, name), found);
                    }
                }
            }
            None => found.push(path),
        },
        _ => found.push(path),
    }
}

/// The paths of a live object that are neither wanted nor defaults of the API server.
pub fn extras(wanted: &Value, live: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    beyond(Path::default(), Some(wanted), live, &mut found);
    found
}

fn beyond(path: Path, wanted: Option<&Value>, live: &Value, found: &mut Vec<Path>) {
    match (wanted, live) {
        (Some(wanted), live) if wanted == live => {}
        (Some(Value::Object(wanted)), Value::Object(live)) => {
            for (key, live) in live {
                let path = path.with(Part::Key(key.clone()));
                beyond(path, wanted.get(key), live, found);
            }
        }
        (Some(Value::Array(wanted)), Value::Array(live)) => match named_by([wanted, live]) {
            Some(by) => {
                for live in live {
                    let name = live[by].as_str().unwrap_or_default();
                    let path = path.with(Part::Item(by, name.into()));
                    beyond(path, item(wanted, by, name), live, found);
                }
            }
            None if wanted.len() == live.len() => {
                for (number, (wanted, live)) in wanted.iter().zip(live).enumerate() {
                    let path = path.with(Part::Item("", number.to_string()));
                    let mut inner = Vec::new();
                    beyond(path, Some(wanted), live, &mut inner);
                    found.append(&mut inner);
                }
            }
            None => found.push(path),
        },
        // A changed value of a wanted field is not an addition.
        (Some(Value::Null) | None, live) if !defaults::is_default(&path.pattern(), live) => {
            found.push(path);
        }
        _ => {}
    }
}

/// The merge patch that turns the first value into the second.
pub fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return to.clone();
    };
    let mut patch = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, to) in to {
        match from.get(key) {
            Some(from) if from == to => {}
            Some(from) => drop(patch.insert(key.clone(), merge_patch(from, to))),
            None => drop(patch.insert(key.clone(), to.clone())),
        }
    }
    Value::Object(patch)
}

/// Resets one field to its value in `fresh`, or removes it.
pub fn reset(object: &mut Value, fresh: &Value, path: &Path) {
    reset_at(object, Some(fresh), &path.0);
}

fn reset_at(object: &mut Value, fresh: Option<&Value>, path: &[Part]) {
    let Some((part, rest)) = path.split_first() else {
        return;
    };
    match (part, object) {
        (Part::Key(key), Value::Object(object)) => {
            let fresh = fresh.and_then(|fresh| fresh.get(key));
            match (rest, fresh, object.get_mut(key)) {
                ([], Some(fresh), _) => drop(object.insert(key.clone(), fresh.clone())),
                ([], None, _) => drop(object.remove(key)),
                (rest, fresh, Some(inner)) => reset_at(inner, fresh, rest),
                _ => {}
            }
        }
        (Part::Item(by, name), Value::Array(items)) => {
            let list = fresh
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            let (fresh, place) = match *by {
                "" => {
                    let number = name.parse().unwrap_or(usize::MAX);
                    (list.get(number), (number < items.len()).then_some(number))
                }
                by => {
                    let place = items.iter().position(|item| item[by] == name.as_str());
                    (item(list, by, name), place)
                }
            };
            match (rest, fresh, place) {
                ([], Some(fresh), Some(place)) => items[place] = fresh.clone(),
                ([], Some(fresh), None) => items.push(fresh.clone()),
                ([], None, Some(place)) => drop(items.remove(place)),
                (rest, fresh, Some(place)) => reset_at(&mut items[place], fresh, rest),
                _ => {}
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(paths: &[Path]) -> Vec<String> {
        paths.iter().map(ToString::to_string).collect()
    }

    fn spec(containers: Value) -> Value {
        json!({"spec": {"containers": containers, "hostPID": false}})
    }

    #[test]
    fn items_are_compared_by_their_names_and_brought_back_one_by_one() {
        let fresh = spec(json!([{"name": "a", "image": "a", "args": ["1"]}]));
        let mut live = spec(json!([
            {"name": "evil", "image": "b"},
            {"name": "a", "image": "a", "args": ["1", "2"], "command": ["sh"]},
        ]));
        live["spec"]["hostPID"] = json!(true);
        live["spec"]["a.b/c"] = json!(1);
        let found = differing(&live, &fresh);
        assert_eq!(
            said(&found),
            [
                ".spec.containers[evil]",
                ".spec.containers[a].args",
                ".spec.containers[a].command",
                ".spec.hostPID",
                ".spec['a.b/c']",
            ]
        );
        for path in &found {
            reset(&mut live, &fresh, path);
        }
        assert_eq!(live, fresh);
    }

    #[test]
    fn a_merge_patch_holds_what_changes_and_nothing_else() {
        let from = json!({"a": {"b": 1, "c": [1]}, "d": 1, "e": 1});
        let to = json!({"a": {"b": 1, "c": [2]}, "e": 1, "f": {"g": 1}});
        assert_eq!(
            merge_patch(&from, &to),
            json!({"a": {"c": [2]}, "d": null, "f": {"g": 1}})
        );
    }

    #[test]
    fn what_the_server_fills_in_is_no_extra() {
        let wanted = json!({"spec": {"ports": [{"name": "http", "port": 1}], "rules": [{}]}});
        let mut live = wanted.clone();
        live["spec"]["ports"][0]["protocol"] = json!("TCP");
        live["spec"]["type"] = json!("ClusterIP");
        assert_eq!(said(&extras(&wanted, &live)), [""; 0]);
        live["spec"]["type"] = json!("LoadBalancer");
        live["spec"]["rules"][0]["more"] = json!(1);
        live["spec"]["ports"] = json!([live["spec"]["ports"][0], {"name": "b", "port": 2}]);
        assert_eq!(
            said(&extras(&wanted, &live)),
            [".spec.ports[b]", ".spec.rules[0].more", ".spec.type"]
        );
    }

    #[test]
    fn whose_a_field_is_stands_in_the_servers_book() {
        let path = |parts: &[&str]| Path(parts.iter().map(|p| Part::Key((*p).into())).collect());
        let fields = json!({"f:spec": {"f:type": {}, "f:sub": {".": {}, "f:x": {}}, "f:l": {
            "k:{\"name\":\"evil\"}": {".": {}, "f:name": {}},
        }}});
        assert!(path(&["spec", "type"]).is_in(&fields));
        assert!(path(&["spec", "type", "deeper"]).is_in(&fields));
        assert!(path(&["spec", "sub"]).is_in(&fields));
        assert!(!path(&["spec", "sub", "y"]).is_in(&fields));
        assert!(!path(&["data"]).is_in(&fields));
        let item = |name: &str| path(&["spec", "l"]).with(Part::Item("name", name.into()));
        assert!(item("evil").is_in(&fields));
        assert!(!item("good").is_in(&fields));
        assert!(!path(&["spec"]).is_in(&json!({})));
    }
}
