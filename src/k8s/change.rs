//! What an install does to an object, or would do: `install --dry-run` shows the result of the same code without
//! writes.

use anyhow::Result;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Scope, kinds};
use crate::guide::Step;
use crate::progress::ObjectId;

/// Fields of the server, which are never part of a change.
const NOT_ASKED_FOR: [&str; 5] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub step: Step,
    pub object: ObjectId,
    #[serde(rename = "action")]
    pub what: What,
    /// The changed fields of an existing object.
    pub fields: Vec<Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    Create,
    Change,
    /// The object is no longer part of the install.
    Delete,
    /// Deleted and created again, because it cannot be changed.
    Replace,
    /// Created for the run and deleted at its end.
    Hold,
    /// An existing foreign object is used unchanged.
    Reuse,
    Keep,
}

/// One field of an object. Both values are None if they are secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// A JSONPath of kubectl, such as `.spec.replicas`.
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub secret: bool,
}

impl What {
    pub fn word(self) -> &'static str {
        match self {
            What::Create => "create",
            What::Change => "change",
            What::Delete => "delete",
            What::Replace => "replace",
            What::Hold => "hold",
            What::Reuse => "reuse",
            What::Keep => "keep",
        }
    }

    pub fn is_write(self) -> bool {
        !matches!(self, What::Reuse | What::Keep)
    }
}

impl Serialize for What {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// Records what was done to an object, or would be done.
pub fn tell(
    scope: &Scope<'_>,
    object: &Value,
    what: What,
    change: Option<(&Value, &Value)>,
) -> Result<()> {
    let fields = change.map(|(before, after)| fields(before, after));
    scope.record.tell(Change {
        step: scope.progress.step(),
        object: kinds::id(object)?,
        what,
        fields: fields.unwrap_or_default(),
    });
    Ok(())
}

/// Records a write to an existing object that is not an apply.
pub fn touched(scope: &Scope<'_>, object: &ObjectId, what: What, path: &str) {
    scope.record.tell(Change {
        step: scope.progress.step(),
        object: object.clone(),
        what,
        fields: vec![Field {
            path: path.into(),
            before: None,
            after: None,
            secret: false,
        }],
    });
}

/// Records a write of an annotation that makes a controller look at the object again.
pub fn annotated(scope: &Scope<'_>, object: &ObjectId, annotation: &str) {
    let path = format!(".metadata.annotations['{annotation}']");
    touched(scope, object, What::Change, &path);
}

/// The fields that differ.
pub fn fields(before: &Value, after: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    let kinds = before["kind"].as_str();
    for part in parts(before, after) {
        let path = format!(".{part}");
        compare(&path, asked(before, part), asked(after, part), &mut fields);
    }
    if kinds == Some("Secret") {
        for field in &mut fields {
            let holds = |part: &str| field.path.starts_with(part);
            if holds(".data") || holds(".stringData") {
                (field.before, field.after, field.secret) = (None, None, true);
            }
        }
    }
    fields
}

/// The top-level fields of both objects, without kind and status.
fn parts<'a>(before: &'a Value, after: &'a Value) -> Vec<&'a str> {
    let all = [before, after].into_iter().filter_map(Value::as_object);
    let names = all.flat_map(|object| object.keys().map(String::as_str));
    let mut parts = vec!["metadata", "spec", "data"];
    for name in names.filter(|name| !["apiVersion", "kind", "status"].contains(name)) {
        if !parts.contains(&name) {
            parts.push(name);
        }
    }
    parts
}

fn asked(object: &Value, part: &str) -> Option<Value> {
    let mut value = object.get(part)?.clone();
    if let (Some(meta), "metadata") = (value.as_object_mut(), part) {
        NOT_ASKED_FOR
            .iter()
            .for_each(|name| drop(meta.remove(*name)));
    }
    Some(value)
}

fn compare(path: &str, before: Option<Value>, after: Option<Value>, fields: &mut Vec<Field>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(mut before)), Some(Value::Object(after))) => {
            let gone = before.keys().filter(|key| !after.contains_key(*key));
            let gone = gone.cloned().collect::<Vec<_>>();
            for (key, value) in after {
                let was = before.remove(&key);
                compare(&format!("{path}{}", step(&key)), was, Some(value), fields);
            }
            for key in gone {
                let was = before.remove(&key);
                compare(&format!("{path}{}", step(&key)), was, None, fields);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if before.len() == after.len() => {
            for (i, (before, after)) in before.into_iter().zip(after).enumerate() {
                compare(&format!("{path}[{i}]"), Some(before), Some(after), fields);
            }
        }
        (before, after) => fields.push(Field {
            path: path.into(),
            before,
            after,
            secret: false,
        }),
    }
}

/// Quotes a key with a dot, which would read as two keys.
fn step(key: &str) -> String {
    match key.contains(['.', '/']) {
        true => format!("['{key}']"),
        false => format!(".{key}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(before: Value, after: Value) -> Vec<String> {
        let text = |value: &Option<Value>| value.as_ref().map_or("-".into(), Value::to_string);
        let fields = fields(&before, &after);
        let fields = fields.iter();
        fields
            .map(|f| format!("{} {} {}", f.path, text(&f.before), text(&f.after)))
            .collect()
    }

    #[test]
    fn each_field_that_differs_is_named_by_its_path() {
        let before = json!({
            "kind": "Deployment",
            "metadata": {"generation": 1, "labels": {"a.b/c": "1", "old": "x"}},
            "spec": {"replicas": 2, "containers": [{"image": "a"}], "list": [1]},
            "status": {"replicas": 2},
        });
        let after = json!({
            "kind": "Deployment",
            "metadata": {"generation": 2, "labels": {"a.b/c": "2"}},
            "spec": {"replicas": 2, "containers": [{"image": "b"}], "list": [1, 2]},
            "status": {"replicas": 3},
        });
        assert_eq!(
            said(before, after),
            [
                r#".metadata.labels['a.b/c'] "1" "2""#,
                r#".metadata.labels.old "x" -"#,
                r#".spec.containers[0].image "a" "b""#,
                ".spec.list [1] [1,2]",
            ]
        );
    }

    #[test]
    fn what_a_secret_holds_is_not_told() {
        let secret = |value: &str| json!({"kind": "Secret", "data": {"token": value}});
        assert_eq!(said(secret("aaa"), secret("bbb")), [".data.token - -"]);
        assert_eq!(said(secret("aaa"), secret("aaa")), [""; 0]);
        let none = json!({"kind": "Secret"});
        assert_eq!(said(none, secret("bbb")), [".data - -"]);
    }
}
