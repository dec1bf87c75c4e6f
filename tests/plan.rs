//! `plan` and `install --dry-run` write nothing, and list what the next install writes according to the audit logs.

mod texts;

use std::collections::BTreeSet;

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::audit::{Mark, Request};
use ambikiali_sandbox::standin::service;
use serde_json::{Value, json};

use crate::support::{
    BOTH, Clusters, Foreign, INSTALL, get, masked, merge, on_two_clusters, remove, unwritten,
};

const CONFIG: (&str, &str, &str) = ("v1", "ConfigMap", "kiali/prometheus-config");
const ROUTE: (&str, &str, &str) = (
    "gateway.networking.k8s.io/v1",
    "HTTPRoute",
    "istio-system/prometheus",
);

/// A foreign Prometheus that meets our needs.
const PROMETHEUS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: theirs, namespace: istio-system}
spec:
  selector: {matchLabels: {app: theirs}}
  template:
    metadata: {labels: {app: theirs}}
    spec:
      containers: [{name: server, image: 'prom/prometheus:v3.5.0'}]
---
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: istio-system}
spec: {selector: {app: theirs}, ports: [{name: http, port: 9090}]}
";

#[test]
fn what_is_planned_is_what_the_next_install_writes() {
    on_two_clusters(async |clusters| {
        let theirs = Foreign::apply(clusters.remote(), PROMETHEUS).await;
        let shown = planned(clusters, &[]).await;
        assert_eq!(shown, texts::FIRST);
        installed_as_planned(clusters, &[]).await;

        let kept = planned(clusters, &[]).await;
        assert_eq!(kept, texts::SECOND);
        installed_as_planned(clusters, &[]).await;

        drift(clusters.home()).await;
        assert_eq!(planned(clusters, &[]).await, texts::DRIFT);
        installed_as_planned(clusters, &[]).await;

        let option = ["--image", "prometheus=prom/prometheus:v3.11.0"];
        let shown = planned(clusters, &option).await;
        assert_eq!(shown, texts::OPTION);
        installed_as_planned(clusters, &option).await;

        let theirs_now = home_prometheus(clusters).await;
        let option = ["--prometheus2", theirs_now.as_str()];
        // The addresses and their hashes differ between pairs of clusters.
        let shown = without_fields(&planned(clusters, &option).await);
        assert_eq!(shown, texts::UNEXPOSED);
        installed_as_planned(clusters, &option).await;

        let option = ["--prometheus2", "default"];
        let shown = without_fields(&planned(clusters, &option).await);
        assert_eq!(shown, texts::EXPOSED_AGAIN);
        installed_as_planned(clusters, &option).await;

        clusters.cleaned().await;
        theirs.removed().await;
    });
}

/// Returns the address of home's Prometheus behind its Gateway, used as the user's own.
async fn home_prometheus(clusters: &Clusters) -> String {
    let client = clusters.home().client();
    let pod = service::resolve(&client, "prometheus.istio-system", 9090).await;
    pod.expect("a pod").to_string()
}

/// Edits an object and deletes another one.
async fn drift(home: &Cluster) {
    let live = get(home, CONFIG.0, CONFIG.1, CONFIG.2).await;
    let text = live.expect("a configuration")["data"]["prometheus.yml"].clone();
    let edited = text
        .as_str()
        .unwrap()
        .replacen("honor_labels: true", "honor_labels: false", 1);
    let edit = json!({"data": {"prometheus.yml": edited}});
    merge(home, CONFIG.0, CONFIG.1, CONFIG.2, &edit).await;
    remove(home, ROUTE.0, ROUTE.1, ROUTE.2).await;
}

/// Returns the text of a plan. Checks that `install --dry-run` and --exit-code agree with it.
async fn planned(clusters: &Clusters, more: &[&str]) -> String {
    let marks = clusters.marks();
    let plan = [&["plan"][..], &BOTH, more].concat();
    let shown = clusters.run(&plan).await.succeeded().stdout;
    let dry = [&INSTALL[..], more, &["--dry-run", "--exit-code"]].concat();
    let dry = clusters.run(&dry).await;
    assert_eq!(dry.stdout, shown, "{}", dry.stderr);
    let writes = !names(&changes(clusters, more).await).is_empty();
    assert_eq!(dry.code, if writes { 10 } else { 0 });
    unwritten(&marks);
    masked(&shown)
}

/// Returns the lines about objects, without those about their fields.
fn without_fields(plan: &str) -> String {
    let lines = plan.lines().filter(|line| !line.starts_with("    "));
    lines.map(|line| format!("{line}\n")).collect()
}

async fn changes(clusters: &Clusters, more: &[&str]) -> Vec<Value> {
    let plan = [&["plan", "-o", "json"][..], &BOTH, more].concat();
    let document = clusters.run(&plan).await.succeeded().stdout;
    let document: Value = serde_json::from_str(&document).expect("JSON");
    document["changes"].as_array().expect("changes").clone()
}

/// Checks that an install writes what the plan lists.
async fn installed_as_planned(clusters: &Clusters, more: &[&str]) {
    let planned = names(&changes(clusters, more).await);
    let marks = clusters.marks();
    let json = [more, &["-o", "json"]].concat();
    let ended = clusters.install(&json).await.succeeded();
    let done: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let done = names(done["changes"].as_array().expect("changes"));
    let but_records = planned
        .iter()
        .filter(|name| !name.ends_with("/ambikiali-record"));
    assert_eq!(done, but_records.cloned().collect::<BTreeSet<_>>());
    let both = marks.iter().zip(["cluster1", "cluster2"]);
    let written = both.flat_map(|(mark, name)| written(mark, name));
    assert_eq!(written.collect::<BTreeSet<_>>(), planned);
}

fn names(changes: &[Value]) -> BTreeSet<String> {
    // Actions without a write.
    let besides = ["hold", "keep", "reuse"].map(Value::from);
    let writes = changes.iter().filter(|c| !besides.contains(&c["action"]));
    let name = |change: &Value| {
        let object = change["object"].as_str().expect("an object");
        let (kind, name) = object.split_once(' ').expect("a kind and a name");
        let cluster = change["cluster"].as_str().expect("a cluster");
        format!("{cluster} {}s {name}", kind.to_lowercase())
    };
    writes.map(name).collect()
}

fn written(mark: &Mark, cluster: &str) -> Vec<String> {
    let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
    // A rejected creation only shows that the name is in use.
    let done = writes.iter().filter(|r| r.code < 300);
    let name = |r: &Request| match r.namespace.as_str() {
        "" => format!("{cluster} {} {}", r.resource, r.name),
        _ if r.resource == "namespaces" => format!("{cluster} {} {}", r.resource, r.name),
        namespace => format!("{cluster} {} {namespace}/{}", r.resource, r.name),
    };
    done.map(name).collect()
}
