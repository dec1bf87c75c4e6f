//! Compares a live object with its manifest: fields that differ, and stale fields. A stale field is one that we
//! applied once and no longer want. It stays until an apply without it, and comparing with the manifest does not
//! reveal it.

use serde_json::Value;

use super::ownership;

/// The first field of the manifest that the live object does not have. The live object may have more fields,
/// because the server adds defaults.
pub fn difference(wanted: &Value, live: &Value) -> Option<String> {
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => wanted.iter().find_map(|(key, value)| {
            let rest = match live.get(key) {
                Some(live) => difference(value, live)?,
                None if value.is_null() => return None,
                None => String::new(),
            };
            Some(format!(".{key}{rest}"))
        }),
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            let pairs = wanted.iter().zip(live).enumerate();
            pairs
                .into_iter()
                .find_map(|(i, (w, l))| Some(format!("[{i}]{}", difference(w, l)?)))
        }
        (wanted, live) if wanted == live => None,
        _ => Some(String::new()),
    }
}

/// The first stale field according to managedFields.
pub fn stale_field(wanted: &Value, live: &Value) -> Option<String> {
    extra(&ownership::applied_fields(live)?, wanted)
}

fn extra(fields: &Value, wanted: &Value) -> Option<String> {
    fields.as_object()?.iter().find_map(|(key, inner)| {
        // `.` stands for the field itself.
        let (kind, name) = key.split_once(':')?;
        let (step, value) = match kind {
            "f" => (format!(".{name}"), wanted.get(name)),
            _ => (format!("[{name}]"), item(wanted, kind, name)),
        };
        match value {
            None => Some(step),
            Some(value) => Some(format!("{step}{}", extra(inner, value)?)),
        }
    })
}

/// Finds an item of a list by its key fields (`k`), or by its value in a set (`v`).
fn item<'a>(list: &'a Value, kind: &str, name: &str) -> Option<&'a Value> {
    let name: Value = serde_json::from_str(name).ok()?;
    let is_it = |item: &&Value| match (kind, name.as_object()) {
        // The server adds defaults to key fields, which the manifest may omit.
        ("k", Some(keys)) => keys
            .iter()
            .all(|(key, value)| item.get(key).is_none_or(|of_item| of_item == value)),
        _ => **item == name,
    };
    list.as_array()?.iter().find(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_of_the_server_are_ignored() {
        let wanted = json!({"spec": {"ports": [{"port": 9090}]}});
        let live =
            json!({"spec": {"ports": [{"port": 9090, "protocol": "TCP"}], "type": "ClusterIP"}});
        assert_eq!(difference(&wanted, &live), None);
    }

    #[test]
    fn the_first_difference_is_named() {
        let live = json!({"spec": {"ports": [{"port": 9090}], "type": "ClusterIP"}});
        let differs = |wanted: Value| difference(&wanted, &live);
        assert_eq!(
            differs(json!({"spec": {"ports": [{"port": 1}]}})).as_deref(),
            Some(".spec.ports[0].port")
        );
        assert_eq!(
            differs(json!({"spec": {"ports": []}})).as_deref(),
            Some(".spec.ports")
        );
        assert_eq!(
            differs(json!({"data": {"a": "b"}})).as_deref(),
            Some(".data")
        );
    }

    fn live(fields: Value) -> Value {
        let ours = json!({"manager": "ambikiali", "operation": "Apply", "fieldsV1": fields});
        let touched = json!({
            "manager": "ambikiali", "operation": "Update", "fieldsV1": {"f:x": {}},
        });
        json!({"metadata": {"managedFields": [touched, ours]}})
    }

    #[test]
    fn wanted_fields_are_not_stale() {
        let fields = json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {".": {}, "v:\"b\"": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":1,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}},
        });
        let wanted = json!({
            "metadata": {"labels": {"a": "1"}, "finalizers": ["b"]},
            "spec": {"ports": [{"port": 2}, {"port": 1}], "more": true},
        });
        assert_eq!(stale_field(&wanted, &live(fields)), None);
        assert_eq!(stale_field(&wanted, &json!({"metadata": {}})), None);
    }

    #[test]
    fn a_stale_field_is_named() {
        for (fields, said) in [
            (json!({"f:spec": {"f:a": {"f:b": {}}}}), ".spec.a.b"),
            (
                json!({"f:spec": {"f:l": {"k:{\"name\":\"y\"}": {}}}}),
                ".spec.l[{\"name\":\"y\"}]",
            ),
            (json!({"f:spec": {"f:s": {"v:2": {}}}}), ".spec.s[2]"),
        ] {
            let wanted = json!({"spec": {"a": {"c": 1}, "l": [{"name": "x"}], "s": [1]}});
            assert_eq!(stale_field(&wanted, &live(fields)).as_deref(), Some(said));
        }
    }
}
