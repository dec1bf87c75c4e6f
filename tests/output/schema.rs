//! The contract for programs: docs/schema has a schema for each kind.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use crate::support::Ended;

/// The events of a stream and the document.
#[derive(Debug)]
pub struct Said {
    pub events: Vec<Value>,
    /// None if stdout is empty.
    pub document: Option<Value>,
}

thread_local! {
    static COMPILED: RefCell<(Schemas, Compiler)> = RefCell::default();
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema")
}

fn compiled(schemas: &mut Schemas, compiler: &mut Compiler, path: &Path) -> SchemaIndex {
    let path = path.to_str().expect("a path");
    let compiled = compiler.compile(path, schemas);
    compiled.unwrap_or_else(|error| panic!("{path}: {error:#}"))
}

/// Validates a document against the schema of its kind.
#[track_caller]
pub fn assert_valid(value: &Value) {
    let kind = value["kind"].as_str().unwrap_or_default();
    let path = folder().join(format!("{kind}.schema.json"));
    COMPILED.with_borrow_mut(|(schemas, compiler)| {
        let schema = compiled(schemas, compiler, &path);
        if let Err(error) = schemas.validate(value, schema) {
            panic!("{error:#}\n{value:#}");
        }
    });
}

/// Parses stdout and validates each part and the exit code.
#[track_caller]
pub fn read(form: &str, ended: &Ended) -> Said {
    let text = &ended.stdout;
    let mut lines: Vec<Value> = match form {
        _ if text.is_empty() => Vec::new(),
        "yaml" => vec![serde_yaml::from_str(text).expect("one YAML document")],
        "json" => vec![serde_json::from_str(text).expect("one JSON document")],
        _ => {
            let lines = text.lines().map(serde_json::from_str);
            lines.collect::<Result<_, _>>().expect("a document a line")
        }
    };
    lines.iter().for_each(assert_valid);
    let document = lines.pop();
    if let Some(document) = &document {
        assert_ne!(document["kind"], "Event", "{ended:#?}");
        assert_eq!(document["exitCode"], ended.code, "{ended:#?}");
    }
    assert!(lines.iter().all(|line| line["kind"] == "Event"), "{text}");
    Said {
        events: lines,
        document,
    }
}

#[test]
fn every_schema_is_one_and_refuses_what_it_does_not_know() {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    let files = std::fs::read_dir(folder()).expect("the schemas");
    let mut kinds = 0;
    for file in files {
        let path = file.expect("a file").path();
        let schema = compiled(&mut schemas, &mut compiler, &path);
        let name = path.file_name().and_then(|name| name.to_str());
        let kind = name.and_then(|name| name.strip_suffix(".schema.json"));
        let kind = kind.expect("KIND.schema.json");
        if kind != "common" {
            kinds += 1;
            let foreign = serde_json::json!({
                "apiVersion": "ambikiali.dev/v1alpha1", "kind": kind, "outcome": "failed",
                "exitCode": 1, "surprise": true,
            });
            assert!(schemas.validate(&foreign, schema).is_err(), "{kind}");
        }
    }
    assert!(kinds > 12, "{kinds}");
}
