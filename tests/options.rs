//! Options of an install: a changed option changes only the objects that depend on it, the next install keeps the
//! options of the last one, and a newer version upgrades an older install.

use std::collections::BTreeSet;

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::audit::{Mark, Requests};
use serde_json::{Value, json};

use crate::support::{Clusters, Ended, get, on_two_clusters, patch, rewritten, until, unwritten};

const MIRRORED: &str = "prometheus=mirror.example.com:5000/prom/prometheus:v3.12.0";
const OWN_KIALI: &str = "kiali=mirror.example.com/kiali/kiali:v2.29.0";
const OLD_OPERATOR: &str = "kiali-operator=quay.io/kiali/kiali-operator:v2.28.0";
const RECORD: &str = "configmaps kiali/ambikiali-record";

#[test]
fn an_option_changes_what_follows_from_it_and_a_newer_version_does_not_lose_the_view() {
    on_two_clusters(async |clusters| {
        clusters.installed().await;
        one_image_is_changed(clusters).await;
        the_next_install_remembers_it(clusters).await;
        another_kiali_is_named_to_the_operator(clusters).await;
        the_way_back_is_default(clusters).await;
        an_older_install_is_brought_to_this_version(clusters).await;
        clusters.cleaned().await;
    });
}

/// Installs with these images, and returns what it wrote on home and on the remote.
async fn changed(clusters: &Clusters, images: &[&str]) -> (Ended, [BTreeSet<String>; 2]) {
    let marks = clusters.marks();
    let flags = images.iter().flat_map(|image| ["--image", image]);
    let ended = clusters
        .install(&flags.collect::<Vec<_>>())
        .await
        .succeeded();
    (ended, marks.map(|mark| written(&requests(&mark))))
}

fn requests(mark: &Mark) -> Requests {
    mark.requests().unwrap()
}

fn written(requests: &Requests) -> BTreeSet<String> {
    let writes = requests.by_agent("ambikiali").writes().but_leases();
    let named = writes
        .iter()
        .map(|r| format!("{} {}/{}", r.resource, r.namespace, r.name));
    named.collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

async fn deployment(cluster: &Cluster, name: &str) -> Value {
    let found = get(cluster, "apps/v1", "Deployment", name).await;
    found.expect("a Deployment")
}

async fn container(cluster: &Cluster, name: &str) -> Value {
    deployment(cluster, name).await["spec"]["template"]["spec"]["containers"][0].clone()
}

async fn one_image_is_changed(clusters: &Clusters) {
    let (ended, [home, remote]) = changed(clusters, &[MIRRORED]).await;
    let cluster_prometheus = "deployments istio-system/prometheus";
    assert_eq!(
        home,
        set(&[RECORD, "deployments kiali/prometheus", cluster_prometheus])
    );
    assert_eq!(remote, set(&[RECORD, cluster_prometheus]));
    let said = format!(
        "option changed since the last install: --image prometheus=default -> {}\n",
        MIRRORED.split_once('=').unwrap().1
    );
    let (before, _) = ended
        .stderr
        .split_once("cluster prometheus")
        .expect("a step");
    assert!(before.contains(&said), "{ended:#?}");
}

async fn the_next_install_remembers_it(clusters: &Clusters) {
    let marks = clusters.marks();
    let ended = clusters.install(&[]).await.succeeded();
    unwritten(&marks);
    let said = format!("using the options of the last install: --image {MIRRORED}\n");
    assert!(ended.stderr.contains(&said), "{ended:#?}");
    for command in ["status", "version"] {
        let shown = clusters.run(&[command]).await.succeeded().stdout;
        let said = format!("options in the record of the install: --image {MIRRORED}\n");
        assert!(shown.contains(&said), "{shown}");
    }
}

async fn another_kiali_is_named_to_the_operator(clusters: &Clusters) {
    let (_, [home, remote]) = changed(clusters, &[OWN_KIALI]).await;
    let operator = "deployments kiali/kiali-operator";
    assert_eq!(home, set(&[RECORD, operator, "kialis kiali/kiali"]));
    assert_eq!(remote, set(&[]));
    let kiali = container(clusters.home(), "kiali/kiali").await;
    assert_eq!(kiali["image"], OWN_KIALI.split_once('=').unwrap().1);
}

async fn the_way_back_is_default(clusters: &Clusters) {
    let images = ["kiali=default", "prometheus=default", OLD_OPERATOR];
    changed(clusters, &images).await;
    let cr = get(clusters.home(), "kiali.io/v1alpha1", "Kiali", "kiali/kiali").await;
    let asked = cr.expect("a Kiali")["spec"]["deployment"].clone();
    assert!(asked.get("image_name").is_none(), "{asked:#}");
    let kiali = container(clusters.home(), "kiali/kiali").await;
    assert_eq!(kiali["image"], "quay.io/kiali/kiali:v2.29.0");
    let operator = container(clusters.home(), "kiali/kiali-operator").await;
    assert_eq!(
        format!("kiali-operator={}", operator["image"].as_str().unwrap()),
        OLD_OPERATOR
    );
    let env = operator["env"].as_array().expect("env");
    let allowed = env.iter().find(|e| e["name"] == "ALLOW_AD_HOC_KIALI_IMAGE");
    assert_eq!(allowed.expect("a setting")["value"], "false");
}

/// The older install has a Kiali that an older operator created, and a record without options.
async fn an_older_install_is_brought_to_this_version(clusters: &Clusters) {
    let home = clusters.home();
    let labels = json!({"metadata": {"labels": {"version": "v2.28.0"}}});
    let old = json!({"spec": {"template": labels}});
    patch(home, "apps/v1", "Deployment", "kiali/kiali-operator", &old).await;
    until("the older operator has made its Kiali", async || {
        let live = deployment(home, "kiali/kiali").await;
        let image = &live["spec"]["template"]["spec"]["containers"][0]["image"];
        *image == "quay.io/kiali/kiali:v2.28.0"
            && live["status"]["observedGeneration"] == live["metadata"]["generation"]
            && live["status"]["updatedReplicas"] == live["status"]["replicas"]
            && live["status"]["unavailableReplicas"].is_null()
    })
    .await;
    forget_options(home).await;
    let mark = Mark::now(home).expect("an audit log");
    clusters.install(&[]).await.succeeded();
    assert_eq!(
        container(home, "kiali/kiali").await["image"],
        "quay.io/kiali/kiali:v2.29.0"
    );
    let operator = container(home, "kiali/kiali-operator").await;
    assert_eq!(operator["image"], "quay.io/kiali/kiali-operator:v2.29.0");
    let requests = requests(&mark);
    for request in requests.writes().iter() {
        let secret = request.name == "kiali-multi-cluster-secret" && request.resource == "secrets";
        assert!(!secret, "the remotes were written: {request:?}");
        let kept = ["kialis", "deployments", "services"].contains(&request.resource.as_str());
        let removed = kept && request.verb.starts_with("delete");
        assert!(!removed, "{request:?}");
    }
}

/// Turns the record into one of a version without options.
async fn forget_options(home: &Cluster) {
    rewritten(home, |content| {
        let options = content.as_object_mut().expect("a map").remove("options");
        assert_eq!(options.expect("options")["version"], 1);
    })
    .await;
}
