//! Results that need no cluster, in each output format.

use futures::future::join_all;
use serde_json::Value;

use super::{FORMS, schema};
use crate::cli::run;

/// Returns the document of a command, or None if stdout must be empty.
async fn said(arguments: &[&str], code: i32) -> Option<Value> {
    let in_form = async |form: &&str| {
        let ended = run(&[arguments, &["-o", form]].concat()).await.exited(code);
        match *form {
            // The text format has no document.
            "text" => None,
            form => schema::read(form, &ended).document,
        }
    };
    let mut documents = join_all(FORMS.iter().map(in_form)).await;
    // Either of two unreachable clusters may be named.
    let same = |document: &Option<Value>| {
        let document = document.as_ref().map(Value::to_string);
        document.map(|text| text.replace("west", "east"))
    };
    let last = documents.pop().flatten();
    for document in &documents[1..] {
        assert_eq!(same(document), same(&last), "{arguments:?}");
    }
    last
}

#[tokio::test]
async fn what_needs_no_cluster_is_a_document_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    for (arguments, kind, field) in [
        (&["check", "--list"][..], "CodesResult", "/codes/0/code"),
        (&["explain", "AK1103"], "ExplainResult", "/text"),
        (&["images"], "ImagesResult", "/images/0/reference"),
        (&["version", "--client"], "VersionResult", "/client"),
        (&["completions", "fish"], "CompletionsResult", "/script"),
        (&["man", folder], "ManResult", "/pages/0"),
    ] {
        let document = said(arguments, 0).await.expect("a document");
        assert_eq!(document["kind"], kind);
        assert!(
            document.pointer(field).is_some_and(Value::is_string),
            "{document}"
        );
    }
    let man = said(&["man", folder], 0).await.expect("a document");
    let mut pages = std::fs::read_dir(folder)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect::<Vec<_>>();
    pages.sort();
    let mut listed: Vec<String> = serde_json::from_value(man["pages"].clone()).unwrap();
    listed.sort();
    assert_eq!(listed, pages);
}

#[tokio::test]
async fn what_fails_before_any_cluster_is_asked_says_so_in_each_form() {
    let both = ["--ctx1", "east", "--ctx2", "west"];
    let with = |command| [&[command], &both[..]].concat();
    let nowhere = ["man", "/nonexistent/folder"];
    let failing = [
        (with("check"), 8, "CheckResult", Some("AK1001")),
        (with("install"), 8, "InstallResult", Some("AK1001")),
        (with("verify"), 8, "VerifyResult", Some("AK1001")),
        (with("status"), 8, "StatusResult", Some("AK1001")),
        (with("rotate"), 8, "RotateResult", Some("AK1001")),
        (with("cleanup"), 8, "CleanupResult", Some("AK1001")),
        (with("dashboard"), 8, "DashboardResult", Some("AK1001")),
        (with("version"), 8, "VersionResult", Some("AK1001")),
        (vec!["verify"], 3, "VerifyResult", None),
        (vec!["status"], 3, "StatusResult", None),
        (vec!["rotate"], 3, "RotateResult", None),
        (vec!["cleanup"], 3, "CleanupResult", None),
        (vec!["dashboard"], 3, "DashboardResult", None),
        (
            vec!["install", "--ctx1", "east", "--ctx2", "wets"],
            3,
            "InstallResult",
            None,
        ),
        (nowhere.to_vec(), 1, "ManResult", None),
    ];
    let each = failing.map(async |(arguments, code, kind, error)| {
        let arguments = [&arguments[..], &["--timeout", "20s"]].concat();
        let document = said(&arguments, code).await.expect("a document");
        assert_eq!(document["kind"], kind);
        let first = &document["errors"][0];
        assert_eq!(first["code"].as_str(), error, "{document}");
        assert_ne!(first["message"], "", "{document}");
    });
    join_all(each).await;
    for arguments in [
        &["instal"][..],
        &["check"],
        &["status", "east"],
        &["explain", "AK1"],
    ] {
        assert_eq!(said(arguments, 2).await, None);
    }
}
