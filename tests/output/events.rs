//! The events of commands that change clusters, and their other messages.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::manners::logged;
use super::schema;
use crate::support::{BOTH, CLEANUP, Clusters, Ended, get};

/// Returns the events of each step on each cluster, in order.
fn by_step(events: &[Value]) -> BTreeMap<(String, String), Vec<&Value>> {
    let mut steps = BTreeMap::<_, Vec<&Value>>::new();
    for event in events {
        let key = |name: &str| event[name].as_str().expect("text").to_string();
        let step = steps.entry((key("cluster"), key("step"))).or_default();
        step.push(event);
    }
    steps
}

/// Runs a first install with events on stdout and all requests on stderr.
pub async fn first_install(clusters: &Clusters) {
    let more = ["-o", "jsonl", "-v", "--log-format", "json"];
    let install = [&["install"], &BOTH[..], &more, &["--timeout", "120s"]].concat();
    let ended = clusters.run(&install).await.succeeded();
    let said = schema::read("jsonl", &ended);
    let document = said.document.as_ref().expect("the result");
    assert_eq!(document["kind"], "InstallResult");
    let elapsed = said.events.iter().map(|event| event["elapsedMs"].as_u64());
    assert!(elapsed.is_sorted(), "{:#?}", said.events);
    let steps = by_step(&said.events);
    assert_eq!(steps.len(), 12, "{:#?}", steps.keys());
    for (step, events) in &steps {
        let first = events.first().expect("an event");
        // If a step does two things concurrently, one may still be awaited after the other is done.
        let ends = |event: &&&Value| {
            ["started", "done", "failed"]
                .map(Value::from)
                .contains(&event["event"])
        };
        let last = events.iter().rfind(ends).expect("an event");
        assert_eq!(first["event"], "started", "{step:?}: {events:#?}");
        assert_eq!(last["event"], "done", "{step:?}: {events:#?}");
    }
    waited_and_came(&said.events);
    requests(clusters, &ended).await;
}

/// Checks that each awaited object became ready, and that its wait was reported before.
fn waited_and_came(events: &[Value]) {
    let kiali = |event: &&Value| {
        event["cluster"] == "cluster1" && event["object"] == "Deployment kiali/kiali-operator"
    };
    let names = events.iter().filter(kiali);
    let names = names.map(|event| event["event"].as_str().expect("a name"));
    let names = names.collect::<Vec<_>>();
    assert_eq!(names.first(), Some(&"waiting"), "{events:#?}");
    assert_eq!(names.last(), Some(&"arrived"), "{events:#?}");
}

/// Checks the logged requests: no secrets, and no duplicate progress.
async fn requests(clusters: &Clusters, ended: &Ended) {
    let lines = logged(ended);
    let states = lines.iter().filter(|line| line.get("state").is_some());
    assert_eq!(states.count(), 0, "{lines:#?}");
    let written = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/ambikiali-prometheus";
    let watched = "/apis/apps/v1/namespaces/kiali/deployments?watch=true";
    for (method, path, status) in [
        ("PATCH", written, 201),
        ("GET", watched, 200),
        ("GET", "/api/v1/namespaces/kube-system", 200),
    ] {
        let is = |line: &&Value| {
            line["method"] == method && line["path"] == path && line["status"] == status
        };
        let sent = lines.iter().filter(is);
        assert!(sent.count() > 0, "{method} {path}: {}", ended.stderr);
    }
    let token = get(clusters.remote(), "v1", "Secret", "kiali/kiali").await;
    let token = token.expect("the token")["data"]["token"].take();
    let token = STANDARD
        .decode(token.as_str().expect("a token"))
        .expect("one");
    let token = String::from_utf8(token).expect("text");
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains(&token), "the token is told");
    }
    assert!(!ended.stderr.contains("command="), "{}", ended.stderr);
}

/// Runs a cleanup with its progress as a log.
pub async fn cleanup(clusters: &Clusters) {
    let cleanup = [&CLEANUP[..], &["-o", "json"]].concat();
    let cleanup = [&cleanup[..], &["--log-format", "json"]].concat();
    let ended = clusters.run(&cleanup).await.succeeded();
    let document = schema::read("json", &ended).document.expect("the result");
    assert_eq!(document["kind"], "CleanupResult");
    assert_eq!(document["left"], serde_json::json!([]));
    assert_eq!(document["dryRun"], false);
    let lines = logged(&ended);
    let done = |line: &&Value| line["state"] == "done" && line["step"] == "kiali operator";
    let clusters = lines
        .iter()
        .filter(done)
        .map(|line| line["cluster"].as_str());
    let mut clusters = clusters.flatten().collect::<Vec<_>>();
    clusters.sort();
    assert_eq!(clusters, ["cluster1", "cluster2"], "{lines:#?}");
}
