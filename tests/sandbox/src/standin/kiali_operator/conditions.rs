//! The three conditions of a Kiali CR, with the traps of the real operator. `Running` stays True after success, a
//! changed `Successful` keeps its transition time, a `Failure` stays during the whole next run, and the order in the
//! array changes with every write.

use serde_json::{Map, Value, json};

/// The result of a run. An error is the message of the failed task.
pub(super) type Outcome = Result<(), String>;

pub(super) fn mark_running(status: &mut Value, now: &str) {
    if let Some(mut successful) = get(status, "Successful") {
        successful["status"] = json!("False");
        set(status, successful);
    }
    set(
        status,
        condition(
            "Running",
            true,
            "Running",
            "Running reconciliation",
            None,
            now,
        ),
    );
}

pub(super) fn mark_done(status: &mut Value, outcome: &Outcome, completion: &str, now: &str) {
    match outcome {
        Ok(()) => {
            let result = Some(result(0, completion));
            set(
                status,
                condition(
                    "Running",
                    true,
                    "Successful",
                    "Awaiting next reconciliation",
                    result,
                    now,
                ),
            );
            set(
                status,
                condition(
                    "Successful",
                    true,
                    "Successful",
                    "Last reconciliation succeeded",
                    None,
                    now,
                ),
            );
            set(status, condition("Failure", false, "", "", None, now));
        }
        Err(message) => {
            if let Some(mut running) = get(status, "Running") {
                running["status"] = json!("False");
                set(status, running);
            }
            set(
                status,
                condition(
                    "Failure",
                    true,
                    "Failed",
                    message,
                    Some(result(1, completion)),
                    now,
                ),
            );
            set(status, condition("Successful", false, "", "", None, now));
        }
    }
}

fn result(failures: u8, completion: &str) -> Value {
    json!({"ok": 120, "changed": 12, "skipped": 98, "failures": failures, "completion": completion})
}

fn condition(
    kind: &str,
    is: bool,
    reason: &str,
    message: &str,
    result: Option<Value>,
    now: &str,
) -> Value {
    let status = if is { "True" } else { "False" };
    let mut condition = json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now,
    });
    if let Some(result) = result {
        condition["ansibleResult"] = result;
    }
    condition
}

pub(super) fn get(status: &Value, kind: &str) -> Option<Value> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|c| c["type"] == kind).cloned()
}

/// Sets a condition. An equal one stays as it is, except Failure, whose message may differ.
fn set(status: &mut Value, mut new: Value) {
    let kind = new["type"].clone();
    let old = kind.as_str().and_then(|kind| get(status, kind));
    if let Some(old) = old.filter(|old| old["status"] == new["status"]) {
        if kind != "Failure" && old["reason"] == new["reason"] {
            // A condition that is read and changed to False does not get here, because its status differs. It keeps its
            // old time.
            return;
        }
        new["lastTransitionTime"] = old["lastTransitionTime"].clone();
    }
    if !status.is_object() {
        *status = Value::Object(Map::new());
    }
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|c| c["type"] != kind);
    conditions.push(new);
    status["conditions"] = Value::Array(conditions);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(status: &Value, kind: &str, field: &str) -> String {
        get(status, kind).map_or("absent".into(), |c| {
            c[field].as_str().unwrap_or_default().to_string()
        })
    }

    fn shape(status: &Value) -> String {
        let one = |kind| {
            format!(
                "{}/{}",
                field(status, kind, "status"),
                field(status, kind, "reason")
            )
        };
        format!(
            "{} {} {}",
            one("Running"),
            one("Successful"),
            one("Failure")
        )
    }

    #[test]
    fn success_then_another_run() {
        let mut status = json!({"progress": {"message": "old"}});
        mark_running(&mut status, "t1");
        assert_eq!(shape(&status), "True/Running absent/absent absent/absent");
        mark_done(&mut status, &Ok(()), "c1", "t2");
        assert_eq!(shape(&status), "True/Successful True/Successful False/");
        assert_eq!(
            get(&status, "Running").unwrap()["ansibleResult"]["completion"],
            "c1"
        );
        mark_running(&mut status, "t3");
        assert_eq!(shape(&status), "True/Running False/Successful False/");
        assert_eq!(field(&status, "Successful", "lastTransitionTime"), "t2");
        assert_eq!(
            field(&status, "Successful", "message"),
            "Last reconciliation succeeded"
        );
        assert_eq!(field(&status, "Running", "lastTransitionTime"), "t1");
        mark_done(&mut status, &Ok(()), "c2", "t4");
        assert_eq!(field(&status, "Successful", "lastTransitionTime"), "t4");
        assert_eq!(status["progress"]["message"], "old");
    }

    #[test]
    fn failure_stays_through_the_next_run() {
        let mut status = Value::Null;
        mark_running(&mut status, "t1");
        mark_done(&mut status, &Err("broken".into()), "c1", "t2");
        assert_eq!(shape(&status), "False/Running False/ True/Failed");
        mark_running(&mut status, "t3");
        assert_eq!(shape(&status), "True/Running False/ True/Failed");
        assert_eq!(field(&status, "Failure", "message"), "broken");
        mark_done(&mut status, &Err("other".into()), "c2", "t4");
        assert_eq!(field(&status, "Failure", "message"), "other");
        mark_running(&mut status, "t5");
        mark_done(&mut status, &Ok(()), "c3", "t6");
        assert_eq!(shape(&status), "True/Successful True/Successful False/");
    }
}
