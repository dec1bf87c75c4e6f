//! Whether a live object is what a manifest asks for.

use serde_json::Value;

/// The first field in which the live object does not hold what is wanted. The server adds defaults,
/// so the live one may have more.
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_of_the_server_are_no_difference() {
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
}
