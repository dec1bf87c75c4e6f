//! Holds docs/schema to the types: each field of a document is in its schema and the other way round, what
//! the schema requires is what every document has.

mod samples;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema")
}

fn schema(kind: &str) -> Value {
    let path = folder().join(format!("{kind}.schema.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{kind}: {error}"));
    serde_json::from_str(&text).unwrap()
}

fn words(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let words = list.iter().map(|word| match word {
        Value::String(word) => word.clone(),
        other => other.to_string(),
    });
    words.collect()
}

fn keys(object: &Value) -> BTreeSet<String> {
    let object = object.as_object();
    let object = object.unwrap_or_else(|| panic!("no object: {object:?}"));
    object.keys().cloned().collect()
}

fn all_keys(objects: &[&Value]) -> BTreeSet<String> {
    objects.iter().flat_map(|object| keys(object)).collect()
}

fn common_keys(objects: &[&Value]) -> BTreeSet<String> {
    let mut common = keys(objects[0]);
    for object in objects {
        common = &common & &keys(object);
    }
    common
}

/// What several schemas share, and which parts of it the documents were held to.
struct Shared {
    common: Value,
    used: BTreeSet<String>,
}

impl Shared {
    /// What a reference leads to, and of a choice the one that is not null.
    fn resolve(&mut self, schema: &Value) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let (_, name) = reference.split_once("#/$defs/").expect(reference);
            self.used.insert(name.into());
            let found = self.common["$defs"][name].clone();
            assert!(found.is_object(), "{reference} leads nowhere");
            return self.resolve(&found);
        }
        let Some(choices) = schema["anyOf"].as_array() else {
            return schema.clone();
        };
        let choice = choices.iter().find(|choice| choice["type"] != "null");
        self.resolve(choice.expect("a choice"))
    }

    /// All values stand in the same place.
    fn hold(&mut self, place: &str, schema: &Value, values: &[&Value]) {
        let schema = self.resolve(schema);
        let values = values.iter().filter(|value| !value.is_null());
        let values = values.copied().collect::<Vec<_>>();
        assert!(!values.is_empty(), "{place}: no sample");
        if schema.get("items").is_some() {
            let items = values.iter().flat_map(|value| value.as_array().unwrap());
            let items = items.collect::<Vec<_>>();
            self.hold(&format!("{place}[]"), &schema["items"], &items);
        } else if schema.get("properties").is_some() {
            let required = words(&schema["required"]);
            assert_eq!(common_keys(&values), required, "{place}: required");
            self.hold_fields(place, &schema, &values);
        } else {
            let has_fields = values.iter().any(|value| value.is_object());
            let open = schema.get("additionalProperties").is_some();
            assert!(
                !has_fields || open || schema.get("type").is_none(),
                "{place}: no schema"
            );
        }
    }

    fn hold_fields(&mut self, place: &str, schema: &Value, values: &[&Value]) {
        assert_eq!(all_keys(values), keys(&schema["properties"]), "{place}");
        assert_eq!(schema["additionalProperties"], false, "{place}");
        for (name, schema) in schema["properties"].as_object().unwrap() {
            let values = values.iter().filter_map(|value| value.get(name));
            self.hold(
                &format!("{place}.{name}"),
                schema,
                &values.collect::<Vec<_>>(),
            );
        }
    }
}

/// One way a document may look, by the schema of its kind.
fn assert_valid(kind: &str, document: &Value) {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let path = folder().join(format!("{kind}.schema.json"));
    let schema = compiler
        .compile(path.to_str().unwrap(), &mut schemas)
        .unwrap();
    if let Err(error) = schemas.validate(document, schema) {
        panic!("{error:#}\n{document:#}");
    }
}

#[test]
fn each_schema_has_the_fields_of_its_document_and_requires_those_that_are_always_there() {
    let mut shared = Shared {
        common: schema("common"),
        used: BTreeSet::new(),
    };
    let documents = samples::documents();
    for (kind, documents) in &documents {
        documents.iter().for_each(|one| assert_valid(kind, one));
        let schema = schema(kind);
        let all = documents.iter().collect::<Vec<_>>();
        assert_eq!(common_keys(&all), words(&schema["required"]), "{kind}");
        shared.hold_fields(kind, &schema, &all);
        if *kind == "Event" {
            continue;
        }
        let good = |one: &&Value| one["outcome"] == "succeeded";
        let good = documents.iter().filter(good).collect::<Vec<_>>();
        let then = schema.pointer("/allOf/1/then/required");
        let then = then.map(words).unwrap_or_default();
        let required = &words(&schema["required"]) | &then;
        assert_eq!(common_keys(&good), required, "{kind}: of success");
    }
    let files = std::fs::read_dir(folder()).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let published = files.filter(|file| {
        !["common", "fleet"]
            .map(|f| format!("{f}.schema.json"))
            .contains(file)
    });
    let known = documents.keys().map(|kind| format!("{kind}.schema.json"));
    let known = known.collect::<BTreeSet<_>>();
    assert_eq!(published.collect::<BTreeSet<_>>(), known);
    shared.used.insert("ended".into());
    assert_eq!(shared.used, keys(&shared.common["$defs"]));
}
