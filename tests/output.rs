//! `-o json` and `-o yaml`: one document on stdout and nothing else, with the exit code of the text.

use serde_json::Value;

use crate::support::{Clusters, Ended, on_two_clusters};

const BOTH: [&str; 4] = ["--ctx1", "cluster1", "--ctx2", "cluster2"];

/// The same in each form; the document.
async fn said(clusters: &Clusters, arguments: &[&str], code: i32) -> Value {
    let text = clusters.run(arguments).await.exited(code);
    assert!(
        serde_json::from_str::<Value>(&text.stdout).is_err(),
        "{text:#?}"
    );
    let as_form = async |form| -> Ended {
        let arguments = [arguments, &["-o", form]].concat();
        clusters.run(&arguments).await.exited(code)
    };
    let json = as_form("json").await;
    let document: Value = serde_json::from_str(&json.stdout).expect("one JSON document");
    let yaml = as_form("yaml").await;
    let again: Value = serde_yaml::from_str(&yaml.stdout).expect("one YAML document");
    for document in [&document, &again] {
        assert_eq!(document["apiVersion"], "ambikiali.dev/v1alpha1");
        assert_eq!(document["exitCode"], code, "{arguments:?}");
        let outcome = if code == 0 { "succeeded" } else { "failed" };
        assert_eq!(document["outcome"], outcome, "{arguments:?}");
        assert_eq!(document["kind"], again["kind"]);
    }
    document
}

fn with_both<'a>(command: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [command, &BOTH[..], more].concat()
}

#[test]
fn a_program_gets_one_document_of_every_result_and_the_exit_code_of_the_text() {
    on_two_clusters(async |clusters| {
        let here = ["--allow-loopback"];
        let checked = said(clusters, &with_both(&["check"], &here), 0).await;
        assert_eq!(checked["kind"], "CheckResult");
        assert_eq!(checked["findings"], serde_json::json!([]));
        assert_eq!(checked["clusters"][1]["role"], "remote");
        for command in ["check", "install"] {
            let refused = said(clusters, &with_both(&[command], &[]), 3).await;
            assert_eq!(refused["errors"][0]["code"], "AK1005", "{refused}");
            let fix = refused["errors"][0]["fix"].as_str().expect("a fix");
            assert!(fix.contains("--api-server2"), "{fix}");
        }
        let unknown = ["check", "--ctx1", "cluster1", "--ctx2", "nowhere"];
        said(clusters, &unknown, 3).await;
        let absent = said(clusters, &with_both(&["status"], &[]), 1).await;
        assert_eq!(absent["components"][0]["state"], "notReady", "{absent}");
        let unproven = with_both(&["verify", "--traffic", "none"], &[]);
        let unproven = said(clusters, &unproven, 5).await;
        assert_eq!(unproven["hops"][0]["verdict"], "broken", "{unproven}");
        assert_eq!(
            said(clusters, &["images"], 0).await["images"][0]["component"],
            "prometheus"
        );
        assert_eq!(
            said(clusters, &["explain", "AK1103"], 0).await["code"],
            "AK1103"
        );
        said(clusters, &["version", "--client"], 0).await;

        let installed = said(clusters, &with_both(&["install"], &here), 0).await;
        assert_eq!(installed["clusters"][0]["name"], "cluster1");
        let status = said(clusters, &["status"], 0).await;
        let components = status["components"].as_array().expect("components");
        assert!(components.iter().all(|c| c["state"] == "ready"), "{status}");
        let verified = said(clusters, &["verify", "--traffic", "none"], 0).await;
        assert_eq!(verified["kind"], "VerifyResult");
        let version = said(clusters, &["version"], 0).await;
        assert_eq!(version["installed"].as_array().map(Vec::len), Some(6));
        let planned = said(clusters, &["cleanup", "--dry-run"], 0).await;
        let removed = ["cleanup", "--timeout", "120s", "-o", "json"];
        let removed = clusters.run(&removed).await.succeeded().stdout;
        let removed: Value = serde_json::from_str(&removed).expect("one JSON document");
        assert_eq!(removed["left"], serde_json::json!([]));
        assert_eq!(planned["dryRun"], true);
        assert!(
            planned["removed"]
                .as_array()
                .is_some_and(|all| all.len() > 20),
            "{planned}"
        );
        for endless in [&["dashboard"][..], &["completions", "bash"]] {
            let words = [endless, &["-o", "json"]].concat();
            assert_eq!(clusters.run(&words).await.exited(2).stdout, "");
        }
    });
}
