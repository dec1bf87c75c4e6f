//! `-o json|yaml|jsonl` prints only documents and events to stdout, with the same exit code as text.

mod alone;
mod events;
mod manners;
pub mod schema;
mod terminal;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{BOTH, Clusters, Foreign, on_two_clusters, progress};

pub const FORMS: [&str; 4] = ["text", "json", "yaml", "jsonl"];
const NAMED: [&str; 4] = ["--ctx1", "cluster1", "--ctx2", "cluster2"];

/// A foreign object with one of our names.
const TAKEN: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kiali-operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
";

/// Runs a command that changes nothing concurrently in each format and checks that the results are equal.
async fn said(clusters: &Clusters, arguments: &[&str], code: i32) -> Value {
    let in_form = async |form: &&str| {
        let arguments = [arguments, &["-o", form]].concat();
        clusters.run(&arguments).await.exited(code)
    };
    let ended = join_all(FORMS.iter().map(in_form)).await;
    let text = &ended[0].stdout;
    assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
    let read = FORMS.iter().zip(&ended).skip(1);
    let read = read.map(|(form, ended)| schema::read(form, ended).document);
    let documents: Vec<Value> = read.map(|document| document.expect("one")).collect();
    let fields = |document: &Value| -> Vec<String> {
        let fields = document.as_object().expect("an object");
        fields.keys().cloned().collect()
    };
    for document in &documents {
        let outcome = match code {
            0 => "succeeded",
            10 => "changes",
            _ => "failed",
        };
        assert_eq!(document["outcome"], outcome, "{arguments:?}");
        assert_eq!(document["kind"], documents[0]["kind"], "{arguments:?}");
        assert_eq!(fields(document), fields(&documents[0]), "{arguments:?}");
    }
    documents.into_iter().next().expect("of JSON")
}

fn with<'a>(command: &'a str, clusters: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [&[command], clusters, more].concat()
}

#[test]
fn a_program_gets_one_document_of_every_result_and_the_exit_code_of_the_text() {
    on_two_clusters(async |clusters| {
        before(clusters).await;
        events::first_install(clusters).await;
        after(clusters).await;
        events::cleanup(clusters).await;
        let nothing = said(clusters, &["cleanup"], 0).await;
        assert_eq!(nothing["removed"], json!([]), "{nothing}");
        assert_eq!(nothing["left"], json!([]), "{nothing}");
    });
}

async fn before(clusters: &Clusters) {
    let good = said(clusters, &with("check", &BOTH, &[]), 0).await;
    assert_eq!(good["kind"], "CheckResult");
    assert_eq!(good["findings"], json!([]));
    assert_eq!(good["clusters"][1]["role"], "remote");
    for command in ["check", "install"] {
        let refused = said(clusters, &with(command, &NAMED, &[]), 3).await;
        assert_eq!(refused["errors"][0]["code"], "AK1005", "{refused}");
        let fix = refused["errors"][0]["fix"].as_str().expect("a fix");
        assert!(fix.contains("--api-server2"), "{fix}");
    }
    let taken = Foreign::apply(clusters.remote(), TAKEN).await;
    for command in ["check", "install"] {
        let found = said(clusters, &with(command, &BOTH, &[]), 3).await;
        assert_eq!(found["findings"][0]["code"], "AK1401", "{found}");
    }
    taken.removed().await;
    let plan = with("plan", &BOTH, &["--exit-code"]);
    let plan = said(clusters, &plan, 10).await;
    assert_eq!(plan["changes"][0]["action"], "create", "{plan}");
    let absent = said(clusters, &with("status", &NAMED, &[]), 1).await;
    assert_eq!(absent["components"][0]["state"], "notReady", "{absent}");
    let unproven = with("verify", &NAMED, &["--probes", "none"]);
    let unproven = said(clusters, &unproven, 5).await;
    assert_eq!(unproven["hops"][0]["verdict"], "broken", "{unproven}");
    let nothing = said(clusters, &with("version", &NAMED, &[]), 0).await;
    assert_eq!(nothing["installed"], json!([]), "{nothing}");
    let none = said(clusters, &with("dashboard", &NAMED, &["--no-open"]), 1).await;
    assert_eq!(none["errors"][0]["fix"], "ambikiali status", "{none}");
}

async fn after(clusters: &Clusters) {
    let dry = with("install", &BOTH, &["--dry-run", "--exit-code"]);
    let dry = said(clusters, &dry, 0).await;
    assert_eq!(dry["kind"], "PlanResult");
    let again = with("install", &BOTH, &[]);
    let again = said(clusters, &again, 0).await;
    assert_eq!(again["clusters"][0]["name"], "cluster1");
    let status = said(clusters, &["status"], 0).await;
    let components = status["components"].as_array().expect("components");
    assert!(components.iter().all(|c| c["state"] == "ready"), "{status}");
    let verified = said(clusters, &["verify", "--probes", "none"], 0).await;
    let skipped = verified["hops"].as_array().and_then(|hops| hops.last());
    assert_eq!(skipped.map(|hop| &hop["verdict"]), Some(&json!("skipped")));
    let version = said(clusters, &["version"], 0).await;
    assert_eq!(version["installed"].as_array().map(Vec::len), Some(6));
    let planned = said(clusters, &["cleanup", "--dry-run"], 0).await;
    assert_eq!(planned["dryRun"], true);
    let removed = planned["removed"].as_array().map_or(0, Vec::len);
    assert!(removed > 20, "{planned}");
    let quiet = clusters.run(&["status", "-q"]).await.succeeded();
    assert_eq!(quiet.stderr, "");
    let quiet = clusters.run(&with("install", &BOTH, &["-q"])).await;
    let quiet = quiet.succeeded();
    assert_eq!(quiet.stderr, "", "nothing is said of what it does");
    assert_eq!(progress(&quiet.stderr), "");
    assert!(quiet.stdout.starts_with("Ready in "), "{quiet:#?}");
}
