//! Cluster-wide names that belong to others, and cluster names that are not DNS labels.

use serde_json::{Value, json};

use crate::cleanup::CLEAN;
use crate::faults::refused::called;
use crate::support::{
    BOTH, Clusters, Foreign, from_an_install, get, masked, on_two_clusters, recorded_as, remove,
    rewritten, unwritten,
};

const RBAC: &str = "rbac.authorization.k8s.io/v1";

/// Objects with the names of the Prometheus Operator's guide.
const THEIRS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAME}
rules: [{apiGroups: [''], resources: [pods, services], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: NAME}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: monitoring}]
";

#[test]
fn case_22_the_roles_of_another_prometheus_stay_its_own() {
    on_two_clusters(async |clusters| {
        let theirs = THEIRS.replace("NAME", "prometheus");
        let theirs = Foreign::apply(clusters.remote(), &theirs).await;
        let (before, all) = (clusters.snapshots().await, theirs.all().await);
        clusters.install(&["--force-conflicts"]).await.succeeded();
        assert_eq!(theirs.all().await, all);
        let ended = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&ended.stdout), CLEAN);
        clusters.assert_unchanged(&before).await;
        theirs.removed().await;
    });
}

#[test]
fn case_22_no_advice_and_no_flag_takes_a_role_or_a_binding_from_its_owner() {
    on_two_clusters(async |clusters| {
        let theirs = THEIRS.replace("NAME", "ambikiali-prometheus");
        let theirs = Foreign::apply(clusters.remote(), &theirs).await;
        let all = theirs.all().await;
        for flags in [&[][..], &["--force-conflicts"]] {
            let marks = clusters.marks();
            let ended = clusters.install(flags).await.exited(3);
            unwritten(&marks);
            let error = ended.error();
            for kind in ["ClusterRole", "ClusterRoleBinding"] {
                let cause = format!(
                    "cluster2: {kind} ambikiali-prometheus: already exists, created by somebody"
                );
                assert!(error.contains(&cause), "{error}");
            }
            assert!(!error.contains("--force-conflicts"), "{error}");
            assert!(error.contains("--prometheusN HOST:PORT"), "{error}");
        }
        assert_eq!(theirs.all().await, all);
        theirs.removed().await;
    });
}

/// Turns an install into one of an earlier version on home, which created objects under names of others, with our
/// field manager and labels, and recorded them.
pub async fn of_an_earlier_version(clusters: &Clusters) -> Foreign<'_> {
    let home = clusters.home();
    let mut old = Vec::new();
    for kind in ["ClusterRole", "ClusterRoleBinding"] {
        let live = get(home, RBAC, kind, "ambikiali-prometheus").await;
        let live = live.expect("ours");
        let mut object = json!({
            "apiVersion": RBAC, "kind": kind,
            "metadata": {"name": "prometheus", "labels": live["metadata"]["labels"]},
        });
        for part in ["rules", "roleRef", "subjects"] {
            if live[part] != Value::Null {
                object[part] = live[part].clone();
            }
        }
        if kind == "ClusterRoleBinding" {
            object["roleRef"]["name"] = json!("prometheus");
        }
        old.push(object);
    }
    let made = Foreign::made(home, old, "ambikiali").await;
    let entries = made.all().await.into_iter().flatten();
    let entries = entries
        .map(|live| recorded_as("created", &live))
        .collect::<Vec<_>>();
    for kind in ["ClusterRoleBinding", "ClusterRole"] {
        remove(home, RBAC, kind, "ambikiali-prometheus").await;
    }
    rewritten(home, |content| {
        let objects = content["objects"].as_array_mut().expect("objects");
        objects.retain(|object| object["name"] != "ambikiali-prometheus");
        objects.extend(entries);
    })
    .await;
    made
}

#[test]
fn case_22_an_install_of_an_earlier_version_is_moved_over() {
    from_an_install(async |clusters| {
        let made = of_an_earlier_version(clusters).await;
        let plan = clusters
            .run(&[&["plan"], &BOTH[..]].concat())
            .await
            .succeeded();
        for line in [
            "  create   cluster prometheus  ClusterRole ambikiali-prometheus\n",
            "  create   cluster prometheus  ClusterRoleBinding ambikiali-prometheus\n",
            "  delete   cluster prometheus  ClusterRole prometheus\n",
            "  delete   cluster prometheus  ClusterRoleBinding prometheus\n",
        ] {
            assert!(plan.stdout.contains(line), "{}", plan.stdout);
        }
        clusters.installed().await;
        assert_eq!(made.all().await, [None, None]);
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        clusters.cleaned().await;
    });
}

/// Without our labels, objects of these names are foreign, whatever the record says.
#[test]
fn case_22_what_an_earlier_version_only_used_is_not_removed() {
    on_two_clusters(async |clusters| {
        let theirs = THEIRS.replace("NAME", "prometheus");
        let theirs = Foreign::apply(clusters.home(), &theirs).await;
        let all = theirs.all().await;
        clusters.installed().await;
        let entries = all.iter().flatten();
        let entries = entries
            .map(|live| recorded_as("adopted", live))
            .collect::<Vec<_>>();
        rewritten(clusters.home(), |content| {
            content["objects"]
                .as_array_mut()
                .expect("objects")
                .extend(entries);
        })
        .await;
        clusters.installed().await;
        let ended = clusters.run(&["cleanup", "--adopted"]).await.succeeded();
        assert_eq!(masked(&ended.stdout), CLEAN);
        assert_eq!(theirs.all().await, all);
        theirs.removed().await;
    });
}

/// Kiali accepts these names.
#[test]
fn case_names_that_are_no_dns_labels_are_used_as_they_are() {
    on_two_clusters(async |clusters| {
        called(clusters, "gke_proj_us-east1-b_Mesh2").await;
        clusters.installed().await;
        let secret = "kiali/kiali-multi-cluster-secret";
        let secret = get(clusters.home(), "v1", "Secret", secret).await;
        let data = secret.expect("the Secret")["data"].clone();
        let keys = data.as_object().expect("data").keys().collect::<Vec<_>>();
        assert_eq!(keys, ["gke_proj_us-east1-b_Mesh2"]);
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        clusters.run(&["status"]).await.succeeded();
        clusters.cleaned().await;
        called(clusters, "cluster2").await;
    });
}
