//! The record is a ConfigMap that others may write, so it alone never decides what is deleted or run.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::cleanup::CLEAN;
use crate::support::{
    BOTH, Clusters, Foreign, INSTALL, ambikiali, forged, from_an_install, get, install_labels,
    masked, merge, on_two_clusters, recorded_as, remove, rewritten, unwritten, widgets,
};

/// Foreign objects, namespaced and cluster-wide.
const THEIRS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: team}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: notes, namespace: team, labels: LABELS}
data: {remember: the milk}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus-config, namespace: team, labels: LABELS}
data: {prometheus.yml: theirs}
---
apiVersion: v1
kind: Secret
metadata: {name: kiali, namespace: team, labels: LABELS}
stringData: {key: theirs}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: robot, namespace: team}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: team}
spec:
  replicas: 0
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: shop}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: prometheus, labels: LABELS}
rules: [{apiGroups: [''], resources: [pods], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: team-reads}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: prometheus}
subjects: [{kind: ServiceAccount, name: robot, namespace: team}]
";

/// Applies the documents, with a copy of our labels where they ask for it.
async fn theirs(clusters: &Clusters) -> Foreign<'_> {
    let labels = install_labels(clusters.home()).await;
    Foreign::apply(
        clusters.home(),
        &format!(
            "{}---\n{}",
            THEIRS.replace("LABELS", &labels.to_string()),
            widgets("team")
        ),
    )
    .await
}

/// Installs, and checks that the install has the labels that were copied before.
async fn installed_with_these_labels(clusters: &Clusters) {
    clusters.installed().await;
    let record = get(clusters.home(), "v1", "ConfigMap", "kiali/ambikiali-record").await;
    let labels = &record.expect("a record")["metadata"]["labels"];
    assert_eq!(*labels, install_labels(clusters.home()).await);
}

async fn entries(theirs: &Foreign<'_>, origin: &str) -> Vec<Value> {
    let live = theirs.all().await.into_iter().flatten();
    let mut entries = live
        .map(|live| recorded_as(origin, &live))
        .collect::<Vec<_>>();
    assert_eq!(entries.len(), 10);
    // A misspelt kind for which the client builds the same URL.
    let mut namespace = entries[0].clone();
    namespace["kind"] = json!("namespace");
    entries.push(namespace);
    entries
}

/// The objects that a cleanup reports as removed, or to be removed.
fn removed(document: &str) -> BTreeSet<String> {
    let document: Value = serde_json::from_str(document).expect("JSON");
    let removed = document["removed"].as_array().expect("a list").iter();
    removed
        .map(|one| format!("{} {}", one["cluster"], one["object"]))
        .collect()
}

/// The message for a foreign object with our name and the labels of this install.
const NOT_MADE_BY_US: &str = "it carries the labels of this install, but somebody set fields of it";

#[test]
fn attack_02_a_forged_record_deletes_nothing_that_is_not_ours() {
    on_two_clusters(async |clusters| {
        let theirs = theirs(clusters).await;
        let before = clusters.snapshots().await;
        installed_with_these_labels(clusters).await;
        forged(clusters.home(), entries(&theirs, "created").await).await;

        let status = clusters.run(&["status"]).await.exited(1);
        let said = "the record names objects that ambikiali never makes";
        assert!(status.stdout.contains(said), "{}", status.stdout);

        let json = ["cleanup", "-o", "json"];
        let dry = clusters
            .run(&[&json[..], &["--dry-run"]].concat())
            .await
            .exited(6);
        let ended = clusters.run(&json).await.exited(6);
        assert_eq!(removed(&dry.stdout), removed(&ended.stdout));
        let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        // One of them has our name and labels, but belongs to others according to managedFields.
        let left = json!({
            "cluster": "cluster1", "object": "ClusterRole prometheus", "reason": NOT_MADE_BY_US,
        });
        assert_eq!(document["left"], json!([left]));
        let doubt = document["doubts"][0]["message"].as_str().expect("a doubt");
        for named in ["Namespace team", "ConfigMap team/notes", "and 5 more"] {
            assert!(doubt.contains(named), "{doubt}");
        }
        clusters.assert_unchanged(&before).await;

        // The forged record was deleted with the namespace, so it does not block later cleanups.
        let again = clusters.run(&["cleanup"]).await.exited(6);
        let left = format!("left  cluster1      ClusterRole prometheus: {NOT_MADE_BY_US}\n");
        assert_eq!(again.stdout, left);
        theirs.removed().await;
        let again = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&again.stdout), CLEAN);
    });
}

#[test]
fn attack_02_a_record_that_calls_things_adopted_gives_them_to_no_flag() {
    on_two_clusters(async |clusters| {
        let theirs = theirs(clusters).await;
        let before = clusters.snapshots().await;
        installed_with_these_labels(clusters).await;
        forged(clusters.home(), entries(&theirs, "adopted").await).await;
        let flags = ["cleanup", "--adopted", "--force-finalizers"];
        let ended = clusters.run(&flags).await.exited(6);
        let left = format!("left  cluster1      ClusterRole prometheus: {NOT_MADE_BY_US}\n");
        assert_eq!(ended.stdout, left);
        clusters.assert_unchanged(&before).await;
        theirs.removed().await;
    });
}

#[test]
fn attack_02_a_name_of_ours_without_our_label_is_left_and_told() {
    from_an_install(async |clusters| {
        let name = "istio-system/prometheus";
        let strip = json!({"metadata": {"labels": {"ambikiali.dev/install": null}}});
        merge(clusters.home(), "v1", "ConfigMap", name, &strip).await;
        let dry = clusters.run(&["cleanup", "--dry-run"]).await.exited(6);
        let ended = clusters.run(&["cleanup"]).await.exited(6);
        let said = "not ours  cluster1      the record names objects that do not carry the labels of this install; they were left: ConfigMap istio-system/prometheus\n";
        for text in [&dry.stdout, &ended.stdout] {
            assert!(text.contains(said), "{text}");
        }
        assert!(
            !dry.stdout
                .contains("would remove  cluster1      ConfigMap istio-system/prometheus\n")
        );
        assert!(
            get(clusters.home(), "v1", "ConfigMap", name)
                .await
                .is_some()
        );
        remove(clusters.home(), "v1", "ConfigMap", name).await;
        let again = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&again.stdout), CLEAN);
    });
}

/// The object looks like ours, even by its field manager, but the built-in inventory does not list it.
#[test]
fn attack_02_our_labels_on_an_object_of_others_delete_it_neither_with_nor_without_a_record() {
    from_an_install(async |clusters| {
        let record = get(clusters.home(), "v1", "ConfigMap", "kiali/ambikiali-record").await;
        let labels = record.expect("a record")["metadata"]["labels"].clone();
        let copy = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"remember": "the milk"},
            "metadata": {"name": "copy", "namespace": "default", "labels": labels},
        });
        let copy = Foreign::made(clusters.home(), vec![copy], "ambikiali").await;
        let before = copy.all().await;
        let live = before[0].clone().expect("the copy");
        forged(clusters.home(), vec![recorded_as("created", &live)]).await;
        let ended = clusters.run(&["cleanup"]).await.exited(6);
        let left = "left  cluster1      ConfigMap default/copy\n";
        assert!(ended.stdout.contains(left), "{}", ended.stdout);
        // Without a record, all objects with our labels are searched.
        let again = clusters.run(&["cleanup"]).await.exited(6);
        assert!(again.stdout.contains(left), "{}", again.stdout);
        assert_eq!(copy.all().await, before);
        copy.removed().await;
        clusters.cleaned().await;
    });
}

/// A Deployment with the name of Istio's sample.
fn sample(labels: &Value, replicas: u8) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "prometheus", "namespace": "istio-system", "labels": labels},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "x"}]},
            },
        },
    })
}

/// A user who may change the object but not delete it applies it with our field manager.
#[test]
fn attack_02_our_labels_and_manager_on_a_name_of_ours_delete_nothing_that_others_made() {
    on_two_clusters(async |clusters| {
        let labels = install_labels(clusters.home()).await;
        let made = vec![sample(&json!({}), 0)];
        let made = Foreign::made(clusters.remote(), made, "kubectl-create").await;
        let dressed = sample(&labels, 0);
        Foreign::made(clusters.remote(), vec![dressed], "ambikiali").await;
        // Its controller continues to update the status.
        let uid = async || {
            made.all().await[0]
                .as_ref()
                .map(|live| live["metadata"]["uid"].clone())
        };
        let before = uid().await;

        let left = "cluster2      Deployment istio-system/prometheus: it carries the labels of this install, but kubectl-create set fields of it\n";
        let dry = clusters
            .run(&[&["cleanup", "--dry-run"], &BOTH[..4]].concat())
            .await
            .exited(6);
        assert!(
            dry.stdout.contains(&format!("would leave   {left}")),
            "{dry:#?}"
        );
        let ended = clusters
            .run(&[&["cleanup"], &BOTH[..4]].concat())
            .await
            .exited(6);
        assert!(
            ended.stdout.contains(&format!("left  {left}")),
            "{ended:#?}"
        );
        assert_eq!(uid().await, before);
        made.removed().await;
        let again = clusters.run(&[&["cleanup"], &BOTH[..4]].concat()).await;
        assert_eq!(masked(&again.succeeded().stdout), CLEAN);
    });
}

#[test]
fn attack_13_a_home_that_does_not_exist_keeps_neither_install_nor_cleanup_for_good() {
    from_an_install(async |clusters| {
        let way_out = "kubectl --context cluster2 -n kiali delete configmap ambikiali-record\n";
        let forge = async || {
            clusters.installed().await;
            rewritten(clusters.remote(), |content| {
                let uid = "d6f5c9b3-c413-4aa9-b9af-1a5ae15bb54d";
                content["home"] = json!({"name": "ghost", "uid": uid});
                content["install"] = json!("deadbeefdeadbeef");
            })
            .await;
        };
        let (kind, name) = ("ConfigMap", "kiali/ambikiali-record");
        let way_out_is_taken = async || remove(clusters.remote(), "v1", kind, name).await;
        forge().await;
        let install = [&["install"], &BOTH[..]].concat();
        for (command, code) in [(&install[..], 3), (&["cleanup"], 9)] {
            let marks = clusters.marks();
            let error = clusters.run(command).await.exited(code);
            unwritten(&marks);
            assert!(error.stderr.contains(way_out), "{error:#?}");
        }
        way_out_is_taken().await;
        clusters.installed().await;
        forge().await;
        way_out_is_taken().await;
        let ended = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&ended.stdout), CLEAN);
    });
}

#[test]
fn attack_03_a_record_chooses_no_image_and_no_address() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        let evil = json!({"version": 1, "values": {
            "image.kiali-operator": "evil.example.com/operator:v1", "registry": "evil.example.com",
        }});
        rewritten(home, |content| content["options"] = evil).await;
        let marks = clusters.marks();
        for command in ["plan", "check", "install"] {
            let ended = clusters
                .run(&[&[command], &BOTH[..]].concat())
                .await
                .exited(3);
            let error = ended.error();
            assert!(error.starts_with("[AK1412] cluster1: ConfigMap kiali/ambikiali-record sets --image kiali-operator=evil.example.com/operator:v1 --registry evil.example.com, which was not given on this machine"), "{error}");
            let fix = "run the same command with --image kiali-operator=evil.example.com/operator:v1 --registry evil.example.com; to use the defaults, with --image kiali-operator=default --registry default\n";
            assert!(error.contains(fix), "{error}");
        }
        unwritten(&marks);
        let back = ["--image", "kiali-operator=default", "--registry", "default"];
        clusters.install(&back).await.succeeded();

        let write = json!({"version": 1, "values": {"allow-write": "true"}});
        rewritten(home, |content| content["options"] = write).await;
        let marks = clusters.marks();
        let error = clusters.install(&[]).await.exited(3).error();
        assert!(error.starts_with("[AK1412] cluster1: ConfigMap kiali/ambikiali-record sets --allow-write, which was not given on this machine"), "{error}");
        let fix = "run the same command with --allow-write; to use the defaults, with --allow-write=false\n";
        assert!(error.contains(fix), "{error}");
        unwritten(&marks);
        clusters.install(&["--allow-write=false"]).await.succeeded();

        rewritten(home, |content| {
            content["clusters"][1]["prometheus"] = json!("127.0.0.1:1");
        })
        .await;
        let marks = clusters.marks();
        let error = clusters.install(&[]).await.exited(3).error();
        assert!(
            error.contains("sets --prometheus2 127.0.0.1:1, which was not given"),
            "{error}"
        );
        unwritten(&marks);
        clusters
            .install(&["--prometheus2", "default"])
            .await
            .succeeded();
        clusters.cleaned().await;
    });
}

#[test]
fn attack_03_a_value_that_no_flag_takes_makes_the_record_an_edited_one() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        for (name, value) in [
            ("registry", "evil.example.com\n        command: [id]"),
            ("image.kiali", "evil"),
            (
                "image.prometheus",
                "evil.example.com/p:1 --web.enable-admin-api",
            ),
        ] {
            let evil = json!({"version": 1, "values": {name: value}});
            rewritten(home, |content| content["options"] = evil).await;
            let status = clusters.run(&["status"]).await.exited(1);
            let said = "ConfigMap kiali/ambikiali-record: edited by somebody";
            assert!(status.stdout.contains(said), "{}", status.stdout);
            clusters.installed().await;
        }
        for deployment in ["kiali/kiali-operator", "kiali/prometheus"] {
            let live = get(home, "apps/v1", "Deployment", deployment).await;
            let text = live.expect("a Deployment").to_string();
            assert!(!text.contains("evil"), "{text}");
        }
        clusters.cleaned().await;
    });
}

/// The same record from another machine: its options are used and kept.
#[test]
fn attack_03_what_was_said_on_another_machine_is_said_once_more() {
    on_two_clusters(async |clusters| {
        let image = [
            "--image",
            "prometheus=mirror.example.com/prom/prometheus:v3.12.0",
        ];
        clusters.install(&image).await.succeeded();
        let other = tempfile::tempdir().expect("a folder");
        let there = async |more: &[&str]| {
            let arguments = [&INSTALL, more].concat();
            ambikiali(&arguments, clusters.sandbox.kubeconfig(), other.path()).await
        };
        let error = there(&[]).await.exited(3).error();
        assert!(error.starts_with("[AK1412] "), "{error}");
        there(&image).await.succeeded();
        there(&[]).await.succeeded();
        clusters.cleaned().await;
    });
}

#[test]
fn attack_13_names_that_no_server_takes_and_thousands_of_entries_spoil_no_command() {
    from_an_install(async |clusters| {
        let entry = |kind: &str, name: &str| {
            json!({
                "apiVersion": "v1", "kind": kind, "namespace": "kiali", "name": name,
                "origin": "created", "uid": "d6f5c9b3-c413-4aa9-b9af-1a5ae15bb54d",
            })
        };
        let long = "x".repeat(5000);
        let bad = [
            "\u{1b}]0;owned\u{7}",
            "..",
            "../../secrets/x",
            "a b",
            "%2e%2e",
            "\r\n",
            "",
            &long,
        ];
        let mut entries = bad.map(|name| entry("ConfigMap", name)).to_vec();
        entries.push(entry("../../api", "x"));
        entries.extend((0..5000).map(|i| entry("ConfigMap", &format!("none-{i}"))));
        forged(clusters.home(), entries.clone()).await;

        let marks = clusters.marks();
        let status = clusters.run(&["status"]).await.exited(1);
        assert!(status.stdout.contains("and 5004 more"), "{}", status.stdout);
        assert!(!status.stdout.contains('\u{1b}'), "{}", status.stdout);
        let [home, _] = marks.map(|mark| mark.requests().unwrap().by_agent("ambikiali").len());
        assert!(home < 200, "{home} requests");

        clusters.installed().await;
        forged(clusters.home(), entries).await;
        let ended = clusters.run(&["cleanup"]).await.exited(6);
        assert!(ended.stdout.contains("and 5004 more"), "{}", ended.stdout);
        let again = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&again.stdout), CLEAN);
    });
}

#[test]
fn attack_13_a_remote_that_does_not_exist_keeps_no_cleanup_for_good() {
    from_an_install(async |clusters| {
        let ghost = json!({"name": "ghost", "uid": "d6f5c9b3-c413-4aa9-b9af-1a5ae15bb54d"});
        rewritten(clusters.home(), |content| {
            content["clusters"]
                .as_array_mut()
                .expect("clusters")
                .push(ghost);
        })
        .await;
        let marks = clusters.marks();
        let error = clusters.run(&["cleanup"]).await.exited(3).error();
        unwritten(&marks);
        assert!(error.starts_with("[AK1306] "), "{error}");
        let way_out = "kubectl --context cluster1 -n kiali delete configmap ambikiali-record\n";
        assert!(error.ends_with(way_out), "{error}");
        remove(clusters.home(), "v1", "ConfigMap", "kiali/ambikiali-record").await;
        let ended = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&ended.stdout), CLEAN);
    });
}
