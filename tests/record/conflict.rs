//! Fields that another tool manages are not changed without --force-conflicts.

use std::future;

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use super::{named, recorded};
use crate::cleanup::CLEAN;
use crate::support::{
    Clusters, Ended, Foreign, from_an_install, get, masked, on_two_clusters, patch, progress,
    unwritten,
};

const DEPLOYMENT: (&str, &str, &str) = ("apps/v1", "Deployment", "kiali/prometheus");

const NAMESPACE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
";

/// A Deployment with our name and other pods.
const OTHER_PODS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus, namespace: kiali}
spec:
  replicas: 0
  selector: {matchLabels: {app: theirs}}
  template:
    metadata: {labels: {app: theirs}}
    spec: {containers: [{name: theirs, image: theirs}]}
";

/// Another tool applies one of our fields.
const TWO: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus, namespace: kiali}
spec: {replicas: 2}
";

async fn deployment(cluster: &Cluster) -> Value {
    get(cluster, DEPLOYMENT.0, DEPLOYMENT.1, DEPLOYMENT.2)
        .await
        .expect("the Deployment")
}

async fn forced(clusters: &Clusters) -> Ended {
    clusters.install(&["--force-conflicts"]).await
}

#[test]
fn fault_20_an_object_that_changes_all_the_time_is_brought_back_all_the_same() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        let whole = deployment(home).await;
        let edit = json!({"spec": {"revisionHistoryLimit": 7, "replicas": 2}});
        patch(home, DEPLOYMENT.0, DEPLOYMENT.1, DEPLOYMENT.2, &edit).await;
        // Each update creates a new version of the object between our read and write. They stop after the write,
        // because they would block the controllers' status updates.
        let replicas = &whole["spec"]["replicas"];
        let busy = async {
            let mut number = 0u64;
            while deployment(home).await["spec"]["replicas"] != *replicas {
                number += 1;
                let note =
                    json!({"metadata": {"annotations": {"somebody/number": number.to_string()}}});
                patch(home, DEPLOYMENT.0, DEPLOYMENT.1, DEPLOYMENT.2, &note).await;
            }
            future::pending::<()>().await
        };
        let ended = tokio::select! {
            ended = clusters.install(&[]) => ended,
            () = busy => unreachable!("it waits for the install"),
        };
        ended.succeeded();
        let live = deployment(home).await;
        assert_eq!(live["spec"]["replicas"], *replicas);
        assert_ne!(
            live["metadata"]["annotations"]["somebody/number"],
            Value::Null
        );
        clusters.cleaned().await;
    });
}

#[test]
fn fault_21_a_field_of_another_tool_stops_the_install_and_is_only_taken_on_demand() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        Foreign::apply(home, TWO).await;
        let label = json!({"metadata": {"labels": {"theirs": "stays"}}});
        patch(home, DEPLOYMENT.0, DEPLOYMENT.1, DEPLOYMENT.2, &label).await;
        let ended = clusters.install(&[]).await.exited(9);
        assert_eq!(
            ended.error(),
            "\
aggregate metrics: cluster1: Deployment kiali/prometheus is managed by another tool: .spec.replicas (conflict with \"somebody\")
  fix: inspect it: kubectl --context cluster1 -n kiali get deployment prometheus -o yaml --show-managed-fields; to take over these fields, add --force-conflicts to install
"
        );
        assert_eq!(deployment(home).await["spec"]["replicas"], 2);

        forced(clusters).await.succeeded();
        let live = deployment(home).await;
        assert_eq!(live["spec"]["replicas"], 1);
        assert_eq!(live["metadata"]["labels"]["theirs"], "stays");
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        clusters.cleaned().await;
    });
}

#[test]
fn fault_22_what_was_there_is_adopted_only_as_it_is_and_goes_only_on_demand() {
    on_two_clusters(async |clusters| {
        let home = clusters.home();
        let namespace = Foreign::apply(home, NAMESPACE).await;
        let account = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: kiali-operator, namespace: kiali, labels: LABELS}
";
        let live = [account.replace("LABELS", "{}")];
        let theirs = Foreign::apply(home, &live[0]).await;
        let marks = clusters.marks();
        let ended = clusters.install(&[]).await.exited(3);
        unwritten(&marks);
        assert_eq!(
            ended.error(),
            "\
[AK1401] cluster1: ServiceAccount kiali/kiali-operator: already exists, created by somebody, and differs from what is needed at .metadata.labels
  fix: inspect it: kubectl --context cluster1 -n kiali get serviceaccount kiali-operator -o yaml --show-managed-fields; to take over these fields, add --force-conflicts to install
nothing was written
"
        );
        forced(clusters).await.succeeded();
        let record = recorded(home).await.expect("a record");
        let adopted = named(&record)
            .into_iter()
            .filter(|name| name.starts_with("adopted"));
        assert_eq!(
            adopted.collect::<Vec<_>>(),
            [
                "adopted Namespace kiali",
                "adopted ServiceAccount kiali/kiali-operator"
            ]
        );
        clusters.cleaned().await;
        let kept = get(home, "v1", "ServiceAccount", "kiali/kiali-operator").await;
        assert!(kept.is_some(), "what was there before is kept");

        forced(clusters).await.succeeded();
        let cleaned = clusters.run(&["cleanup", "--adopted"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
        let said = progress(&cleaned.stderr);
        let gone = "cluster1      namespace           done     removed kiali\n";
        assert!(said.contains(gone), "{said}");
        theirs.removed().await;
        namespace.removed().await;
    });
}

#[test]
fn fault_23_an_object_that_cannot_be_changed_into_ours_is_named_and_never_made_again() {
    on_two_clusters(async |clusters| {
        let home = clusters.home();
        let namespace = Foreign::apply(home, NAMESPACE).await;
        let theirs = Foreign::apply(home, OTHER_PODS).await;
        let before = deployment(home).await;
        let marks = clusters.marks();
        let found = forced(clusters).await.exited(3).error();
        unwritten(&marks);
        let in_spite = ["--force-conflicts", "--skip-check", "AK1408"];
        let error = clusters.install(&in_spite).await.exited(1).error();
        let object = "cluster1: Deployment kiali/prometheus: ";
        for (error, named) in [(found, "[AK1408] "), (error, "aggregate metrics: ")] {
            assert!(error.starts_with(&format!("{named}{object}")), "{error}");
            assert!(error.contains("spec.selector"), "{error}");
            assert!(error.contains("field is immutable"), "{error}");
        }
        let after = deployment(home).await;
        assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
        assert_eq!(after["spec"], before["spec"]);
        clusters.cleaned().await;
        theirs.removed().await;
        clusters.installed().await;
        clusters.cleaned().await;
        namespace.removed().await;
    });
}
