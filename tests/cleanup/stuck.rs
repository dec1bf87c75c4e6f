//! Objects that cannot be deleted: a Kiali CR without an operator to run its finalizer, and a namespace that still
//! has objects.

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::audit::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::json;

use super::CLEAN;
use crate::support::{
    Clusters, Foreign, from_an_install, get, masked, patch, progress, until, unwritten,
};

const OPERATOR: (&str, &str, &str) = ("apps/v1", "Deployment", "kiali/kiali-operator");

const LEFT: &str = "\
left  cluster1      ClusterRole kiali-operator
left  cluster1      ClusterRoleBinding kiali-operator
left  cluster1      ConfigMap kiali/ambikiali-record
left  cluster1      CustomResourceDefinition kialis.kiali.io
left  cluster1      Deployment kiali/kiali-operator
left  cluster1      Kiali kiali/kiali
left  cluster1      Namespace kiali
left  cluster1      ServiceAccount kiali/kiali-operator
";

const HELD: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: held, namespace: kiali, finalizers: [example.com/held]}
";

async fn operators(cluster: &Cluster, replicas: u8) {
    let spec = json!({"spec": {"replicas": replicas}});
    patch(cluster, OPERATOR.0, OPERATOR.1, OPERATOR.2, &spec).await;
    until("the operator is as it was scaled", async || {
        let operator = get(cluster, OPERATOR.0, OPERATOR.1, OPERATOR.2).await;
        let status = &operator.expect("the Deployment")["status"];
        status["readyReplicas"].as_u64().unwrap_or(0) == u64::from(replicas)
    })
    .await;
}

/// Runs a cleanup that finds no operator on home.
async fn stuck(clusters: &Clusters) -> String {
    let stuck = clusters.run(&["cleanup"]).await.exited(6);
    assert_eq!(stuck.stdout, LEFT);
    stuck.error()
}

#[test]
fn fault_42_a_cr_without_an_operator_is_named_with_what_hangs_on_it_and_goes_when_it_is_back() {
    from_an_install(async |clusters| {
        operators(clusters.home(), 0).await;
        assert_eq!(
            stuck(clusters).await,
            "\
kiali: cluster1: Kiali kiali/kiali has finalizer kiali.io/finalizer, which no operator runs: Deployment kiali/kiali-operator: scaled to 0
  fix: start an operator and run cleanup again (kubectl --context cluster1 -n kiali rollout status deployment/kiali-operator), or let ambikiali do its work: ambikiali cleanup --force-finalizers removes ClusterRole kiali-viewer, ClusterRoleBinding kiali, ConfigMap kiali/kiali, Deployment kiali/kiali, NetworkPolicy kiali/kiali, Secret kiali/kiali-signing-key, Service kiali/kiali, ServiceAccount kiali/kiali-service-account and the finalizer
"
        );
        operators(clusters.home(), 1).await;
        let cleaned = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
    });
}

#[test]
fn fault_42_with_the_users_word_an_operators_work_is_done_in_its_place() {
    from_an_install(async |clusters| {
        for cluster in [clusters.home(), clusters.remote()] {
            operators(cluster, 0).await;
        }
        let marks = clusters.marks();
        let forced = clusters
            .run(&["cleanup", "--force-finalizers"])
            .await
            .succeeded();
        assert_eq!(masked(&forced.stdout), CLEAN);
        let lines = progress(&forced.stderr);
        let said = "cluster1      kiali               note     no operator runs the finalizer of Kiali kiali/kiali; ambikiali removed: ClusterRole kiali-viewer, ClusterRoleBinding kiali, ConfigMap kiali/kiali, Deployment kiali/kiali, NetworkPolicy kiali/kiali, Secret kiali/kiali-signing-key, Service kiali/kiali, ServiceAccount kiali/kiali-service-account\n";
        assert!(lines.contains(said), "{lines}");
        for mark in marks {
            let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
            let finalizer = writes
                .iter()
                .position(|w| w.verb == "patch" && w.resource == "kialis");
            let roles = writes
                .iter()
                .rposition(|w| w.resource == "clusterroles" && w.name == "kiali-viewer");
            // The finalizer is removed last, because it lets a later run find the rest.
            assert!(
                roles.expect("a ClusterRole") < finalizer.expect("a finalizer"),
                "{writes:#?}"
            );
        }
    });
}

#[test]
fn a_dry_run_lists_what_a_cleanup_then_removes() {
    from_an_install(async |clusters| {
        let marks = clusters.marks();
        let dry = clusters.run(&["cleanup", "--dry-run"]).await.succeeded();
        unwritten(&marks);
        let mut listed = dry.stdout.lines().collect::<Vec<_>>();
        assert_eq!(
            listed.pop(),
            Some("Dry run: 39 objects would be removed in cluster1, cluster2")
        );
        let marks = clusters.marks();
        clusters.cleaned().await;
        let [home, remote] = marks.map(|mark| {
            let ours = mark.requests().unwrap().by_agent("ambikiali");
            let deleted = ours.writes().but_leases();
            let deleted = deleted.iter().filter(|write| write.verb == "delete");
            let mut deleted = deleted.map(object).collect::<Vec<_>>();
            deleted.sort();
            deleted
        });
        let listed = |cluster: &str| {
            let of = listed.iter().filter(|line| line.contains(cluster));
            let objects = of.map(|line| line.split(' ').next_back().unwrap().to_string());
            let mut objects = objects.collect::<Vec<_>>();
            objects.sort();
            objects
        };
        assert_eq!(listed("  cluster1  "), home);
        assert_eq!(listed("  cluster2  "), remote);
    });
}

/// The object as ambikiali names it. In the audit log, a namespace is inside of itself.
fn object(request: &Request) -> String {
    match (&*request.namespace, &*request.resource) {
        ("", _) | (_, "namespaces") => request.name.clone(),
        (namespace, _) => format!("{namespace}/{}", request.name),
    }
}

#[test]
fn a_namespace_that_does_not_go_is_explained_by_its_own_conditions() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        let held = Foreign::apply(home, HELD).await;
        // It is already being deleted, so it is no reason to keep the namespace.
        Api::<ConfigMap>::namespaced(home.client(), "kiali")
            .delete("held", &Default::default())
            .await
            .expect("deleted");
        let stuck = clusters
            .run(&["cleanup", "--timeout", "30s"])
            .await
            .exited(6);
        let error = stuck.error();
        // The other namespace may not have timed out yet.
        let error = error.split("error: ").next().expect("the first error");
        let (what, why) = error.split_once(" s: ").expect("how long");
        assert!(
            what.starts_with("namespace: cluster1: Namespace kiali is not gone after "),
            "{what}"
        );
        assert_eq!(
            why,
            "\
being deleted: Some resources are remaining: configmaps. has 1 resource instances; Some content in the namespace has finalizers remaining: example.com/held in 1 resource instances
  fix: free what its conditions name and run the same command again: kubectl --context cluster1 get namespace kiali -o yaml
"
        );
        let free = json!({"metadata": {"finalizers": null}});
        patch(home, "v1", "ConfigMap", "kiali/held", &free).await;
        held.removed().await;
        let cleaned = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&cleaned.stdout), CLEAN);
    });
}
