//! Objects and documents: fields that hold secrets by what they are, and the text of all others.

use serde_json::{Map, Value};

use super::{named, removed, text};

/// Repeats what a client sent, also what is removed from the object since.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Lists of pairs of a name and a value, whose values are removed.
const PAIRS: [&str; 4] = ["env", "headers", "httpheaders", "customheaders"];

/// Removes secrets from an object, and fields that tell nothing.
pub fn value(value: &mut Value) {
    match value {
        Value::String(string) => *string = text(string),
        Value::Array(items) => list(items),
        Value::Object(fields) => {
            let of = std::mem::take(fields);
            *fields = object(of);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn object(fields: Map<String, Value>) -> Map<String, Value> {
    let is_secret = fields.get("kind").is_some_and(|kind| kind == "Secret");
    let named = ["name", "key"]
        .iter()
        .find_map(|name| fields.get(*name)?.as_str());
    let named = named.and_then(named::sort);
    let mut kept = Map::new();
    for (key, mut field) in fields {
        match key.as_str() {
            "managedFields" | "binaryData" | LAST_APPLIED => continue,
            "data" | "stringData" if is_secret => hide(&mut field, "secret"),
            // A header, or a condition of a policy.
            "value" | "values" | "notValues" if named.is_some() => {
                hide(&mut field, named.unwrap_or_default());
            }
            _ => {
                let plain = key.replace(['-', '_'], "").to_ascii_lowercase();
                match named::sort(&key) {
                    _ if PAIRS.contains(&plain.as_str()) => pairs(&mut field, &plain),
                    Some(sort) => hide_texts(&mut field, sort),
                    None => value(&mut field),
                }
            }
        }
        kept.insert(text(&key), field);
    }
    kept
}

/// A flag of a command may have its value in the next item.
fn list(items: &mut [Value]) {
    let mut sort = None;
    for item in items {
        match (sort.take(), &mut *item) {
            (Some(sort), Value::String(word)) if !word.starts_with('-') => hide(item, sort),
            (_, Value::String(word)) => {
                let is_flag = word.starts_with('-') && !word.contains('=');
                sort = is_flag.then(|| named::sort(word)).flatten();
                value(item);
            }
            (_, item) => value(item),
        }
    }
}

/// The values of environment variables and headers. Where one is taken from stays.
fn pairs(field: &mut Value, name: &str) {
    let sort = match name {
        "env" => "environment value",
        _ => "header",
    };
    match field {
        Value::Array(items) => {
            for item in items {
                if let Some(literal) = item.get_mut("value") {
                    hide(literal, sort);
                }
                value(item);
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(|one| hide(one, sort)),
        other => hide(other, sort),
    }
}

/// Hides the value of a field with the name of a secret. What is a mapping tells where the secret is.
fn hide_texts(field: &mut Value, sort: &str) {
    match field {
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => hide(field, sort),
        Value::Array(_) | Value::Object(_) => value(field),
        _ => hide(field, sort),
    }
}

fn hide(field: &mut Value, sort: &str) {
    let is_empty = match field {
        Value::Null | Value::Bool(_) => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    if !is_empty {
        *field = removed(sort).into();
    }
}
