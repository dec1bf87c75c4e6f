//! Fields that we applied once and that are wanted no more: they are in the object as long as nobody
//! applies it without them, and no comparison with what is wanted shows them.

use serde_json::Value;

use super::ownership;

/// The first one, by the server's own book of whose each field is.
pub fn surplus(wanted: &Value, live: &Value) -> Option<String> {
    extra(&ownership::applied_fields(live)?, wanted)
}

fn extra(fields: &Value, wanted: &Value) -> Option<String> {
    fields.as_object()?.iter().find_map(|(key, inner)| {
        // `.` is the thing itself.
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

/// Of a list whose items are known by some of their fields (`k`), or are values of a set (`v`).
fn item<'a>(list: &'a Value, kind: &str, name: &str) -> Option<&'a Value> {
    let name: Value = serde_json::from_str(name).ok()?;
    let is_it = |item: &&Value| match (kind, name.as_object()) {
        // The server adds defaults to the fields that an item is known by.
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

    fn live(fields: Value) -> Value {
        let ours = json!({"manager": "ambikiali", "operation": "Apply", "fieldsV1": fields});
        let touched = json!({
            "manager": "ambikiali", "operation": "Update", "fieldsV1": {"f:x": {}},
        });
        json!({"metadata": {"managedFields": [touched, ours]}})
    }

    #[test]
    fn what_is_still_wanted_is_no_surplus() {
        let fields = json!({
            "f:metadata": {"f:labels": {"f:a": {}}, "f:finalizers": {".": {}, "v:\"b\"": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":1,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}},
        });
        let wanted = json!({
            "metadata": {"labels": {"a": "1"}, "finalizers": ["b"]},
            "spec": {"ports": [{"port": 2}, {"port": 1}], "more": true},
        });
        assert_eq!(surplus(&wanted, &live(fields)), None);
        assert_eq!(surplus(&wanted, &json!({"metadata": {}})), None);
    }

    #[test]
    fn what_is_wanted_no_more_is_named() {
        for (fields, said) in [
            (json!({"f:spec": {"f:a": {"f:b": {}}}}), ".spec.a.b"),
            (
                json!({"f:spec": {"f:l": {"k:{\"name\":\"y\"}": {}}}}),
                ".spec.l[{\"name\":\"y\"}]",
            ),
            (json!({"f:spec": {"f:s": {"v:2": {}}}}), ".spec.s[2]"),
        ] {
            let wanted = json!({"spec": {"a": {"c": 1}, "l": [{"name": "x"}], "s": [1]}});
            assert_eq!(surplus(&wanted, &live(fields)).as_deref(), Some(said));
        }
    }
}
