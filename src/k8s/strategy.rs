//! A Deployment that goes over to Recreate. The server has filled in the parameters of a rolling update, which nobody
//! applied, so an apply cannot remove them, and the server refuses them beside Recreate. A merge patch can remove them.

use serde_json::{Value, json};

use super::request::RequestError;

/// The merge patch that a manifest needs before its apply, which was refused. A manifest needs one if it has a null.
pub fn change(wanted: &Value, refusal: &RequestError) -> Option<Value> {
    let is_invalid = refusal.status().is_some_and(|status| status.code == 422);
    patch(wanted).filter(|_| is_invalid)
}

fn patch(wanted: &Value) -> Option<Value> {
    let strategy = &wanted["spec"]["strategy"];
    let removes = strategy.get("rollingUpdate")?.is_null() && wanted["kind"] == "Deployment";
    removes.then(
        || json!({"metadata": {"uid": wanted["metadata"]["uid"]}, "spec": {"strategy": strategy}}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_null_of_the_strategy_is_a_change() {
        let deployment = |strategy: Value| {
            let metadata = json!({"uid": "1"});
            json!({"kind": "Deployment", "metadata": metadata, "spec": {"strategy": strategy}})
        };
        let recreate = json!({"type": "Recreate", "rollingUpdate": null});
        assert_eq!(
            patch(&deployment(recreate.clone())),
            Some(json!({"metadata": {"uid": "1"}, "spec": {"strategy": recreate}}))
        );
        for other in [json!({"type": "RollingUpdate"}), Value::Null] {
            assert_eq!(patch(&deployment(other)), None);
        }
    }
}
