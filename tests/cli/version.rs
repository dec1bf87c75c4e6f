//! `version` always prints its own version, and why it cannot show the clusters.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::output::{FORMS, schema};
use crate::support::{Ended, ambikiali};

const OWN: &str = concat!("ambikiali ", env!("CARGO_PKG_VERSION"), "\n");
const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: all, cluster: {server: 'https://127.0.0.1:1'}}]
contexts: [{name: east, context: {cluster: all}}, {name: west, context: {cluster: all}}]
";

fn remember(state: &Path, last: &str) {
    fs::create_dir_all(state.join("ambikiali")).expect("a folder");
    fs::write(state.join("ambikiali/last.json"), last).expect("what is remembered");
}

fn last(home: &str, remote: &str) -> String {
    let known = |context: &str, name: &str| {
        let uid = format!("00000000-0000-4000-8000-00000000000{}", context.len());
        json!({"context": context, "name": name, "uid": uid})
    };
    let (home, remotes) = (known(home, "cluster1"), [known(remote, "cluster2")]);
    json!({"kubeconfig": [], "home": home, "remotes": remotes}).to_string()
}

/// Checks each output format: exit code 0, and the expected reason.
async fn says(kubeconfig: &Path, state: &Path, why: Option<&str>) {
    for form in FORMS {
        let ended = ambikiali(&["version", "-o", form], kubeconfig, state).await;
        let ended: Ended = ended.succeeded();
        assert_eq!(ended.stderr, "", "{form}");
        if form == "text" {
            let why = why.map(|why| format!("clusters not contacted: {why}\n"));
            let text = format!("{OWN}{}", why.unwrap_or_default());
            assert_eq!(ended.stdout, text);
            continue;
        }
        let document = schema::read(form, &ended).document.expect("a document");
        assert_eq!(document["client"], env!("CARGO_PKG_VERSION"));
        assert_eq!(document["notAsked"], why.map_or(Value::Null, Value::from));
    }
}

#[tokio::test]
async fn a_remembered_install_without_its_kubeconfig_or_context_is_told_and_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, config) = (folder.path(), folder.path().join("config"));
    let missing = folder.path().join("missing");
    says(&missing, state, None).await;
    remember(state, &last("east", "west"));
    let ended = ambikiali(&["version"], &missing, state).await.succeeded();
    let why = ended
        .stdout
        .strip_prefix(&format!("{OWN}clusters not contacted: "));
    assert!(
        why.is_some_and(|why| why.contains("kubeconfig")),
        "{ended:#?}"
    );

    fs::write(&config, KUBECONFIG).expect("a kubeconfig");
    remember(state, &last("east", "gone"));
    let why = "no context \"gone\" in the kubeconfig; it has: east, west";
    says(&config, state, Some(why)).await;
    remember(state, &last("gone", "west"));
    says(&config, state, Some(why)).await;
    fs::write(&config, "clusters: {no: list}\n").expect("a file");
    let ended = ambikiali(&["version"], &config, state).await.succeeded();
    assert!(
        ended.stdout.contains("\nclusters not contacted: "),
        "{ended:#?}"
    );
}

#[tokio::test]
async fn what_is_remembered_may_be_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, config) = (folder.path(), folder.path().join("config"));
    fs::write(&config, KUBECONFIG).expect("a kubeconfig");
    for garbage in ["", "null", "{}", "[[[[", "\u{1b}]0;x\u{7}", "{\"home\": 1}"] {
        remember(state, garbage);
        let ended = ambikiali(&["version"], &config, state).await.succeeded();
        let (own, why) = ended.stdout.split_at(OWN.len());
        assert_eq!(own, OWN);
        let path = state.join("ambikiali/last.json").display().to_string();
        assert!(
            why.starts_with("clusters not contacted: "),
            "{garbage:?}: {ended:#?}"
        );
        assert!(why.contains(&path), "{garbage:?}: {ended:#?}");
    }
}

#[tokio::test]
async fn clusters_that_are_named_must_be_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    fs::write(&config, KUBECONFIG).expect("a kubeconfig");
    let named = ["version", "--ctx1", "east", "--ctx2", "gone"];
    let ended = ambikiali(&named, &config, folder.path()).await.exited(3);
    assert!(
        ended.stderr.starts_with("error: no context \"gone\""),
        "{ended:#?}"
    );
    remember(folder.path(), &last("east", "west"));
    // The contexts exist but are unreachable.
    let ended = ambikiali(&["version"], &config, folder.path()).await;
    assert!(ended.exited(8).stdout.starts_with(OWN));
}
