//! Row 34: a user with insufficient rights.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cases::names::of_an_earlier_version;
use crate::support::{Clusters, Ended, Foreign, ambikiali, on_two_clusters, unwritten};

/// Rights to identify the clusters.
const BASE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: limited}
rules:
  - {apiGroups: [''], resources: [namespaces], resourceNames: [kube-system], verbs: [get]}
  - {apiGroups: [apps], resources: [deployments], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: limited}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: limited}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: limited}]
---
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
";

/// All rights that an install needs, and the clusters in which it needs them.
const RIGHTS: [(&str, &str); 24] = [
    (
        "home",
        "create, get, patch clusterrolebindings.rbac.authorization.k8s.io",
    ),
    (
        "remote",
        "create, get, patch, watch clusterrolebindings.rbac.authorization.k8s.io",
    ),
    (
        "both",
        "bind, create, escalate, get, patch clusterroles.rbac.authorization.k8s.io",
    ),
    (
        "both",
        "create, get, patch, watch customresourcedefinitions.apiextensions.k8s.io",
    ),
    ("both", "create, get, patch namespaces"),
    ("both", "create, get, patch configmaps in istio-system"),
    (
        "both",
        "create, get, patch, watch deployments.apps in istio-system",
    ),
    (
        "both",
        "create, get, patch, watch gateways.gateway.networking.k8s.io in istio-system",
    ),
    (
        "both",
        "create, get, patch, watch httproutes.gateway.networking.k8s.io in istio-system",
    ),
    ("both", "list pods in istio-system"),
    ("both", "create, get, patch secrets in istio-system"),
    ("both", "create, get, patch serviceaccounts in istio-system"),
    ("both", "create, get, patch, watch services in istio-system"),
    ("both", "create, get, patch configmaps in kiali"),
    (
        "both",
        "create, get, patch, watch deployments.apps in kiali",
    ),
    ("both", "create, get, patch, watch kialis.kiali.io in kiali"),
    (
        "home",
        "create, get, patch leases.coordination.k8s.io in kiali",
    ),
    ("both", "list pods in kiali"),
    ("home", "create, get pods/exec in kiali"),
    ("home", "create, get pods/portforward in kiali"),
    ("home", "create, get, patch secrets in kiali"),
    ("remote", "create, get, patch, watch secrets in kiali"),
    ("both", "create, get, patch serviceaccounts in kiali"),
    ("home", "create, get, patch, watch services in kiali"),
];

/// Returns the expected error for a user without these rights.
fn lacking(cluster: &str, rights: &[&str]) -> String {
    let rights = rights.iter().map(|right| format!("  | {right}\n"));
    format!(
        "{cluster}: User of context {cluster}: lacks rights that an install needs:\n{}  fix: have these granted, or name the context of an administrator: kubectl --context {cluster} -n kiali auth can-i --list\n",
        rights.collect::<String>()
    )
}

fn all_of(role: &str) -> Vec<&'static str> {
    let all = RIGHTS.iter().filter(|(of, _)| *of == role || *of == "both");
    all.map(|(_, right)| *right).collect()
}

/// Also expected for both clusters.
const UNKNOWN: &str = "the user may not read GatewayClass istio, ";

/// Returns a kubeconfig in which every user impersonates another one.
pub fn acting_as_limited(clusters: &Clusters) -> PathBuf {
    let text = std::fs::read_to_string(clusters.sandbox.kubeconfig()).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    for user in config["users"].as_array_mut().expect("users") {
        user["user"]["as"] = json!("limited");
    }
    let file = clusters.state().join("limited");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// Returns a role and a binding for a line such as "get, patch deployments.apps in kiali".
fn role(line: &str, name: &str) -> String {
    let (verbs, kind) = line.rsplit_once(" in ").unwrap_or((line, ""));
    let (verbs, resource) = verbs.rsplit_once(' ').expect("verbs and a resource");
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let (scope, metadata) = match kind {
        "" => ("Cluster", json!({"name": name})),
        namespace => ("", json!({"name": name, "namespace": namespace})),
    };
    let verbs = verbs.split(", ").collect::<Vec<_>>();
    let rbac = "rbac.authorization.k8s.io";
    let role = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": format!("{scope}Role"), "metadata": metadata,
        "rules": [{"apiGroups": [group], "resources": [resource], "verbs": verbs}],
    });
    let binding = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": format!("{scope}RoleBinding"), "metadata": metadata,
        "roleRef": {"apiGroup": rbac, "kind": format!("{scope}Role"), "name": metadata["name"]},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": "limited"}],
    });
    format!("{role}\n---\n{binding}\n---\n")
}

/// Returns roles that grant the rights listed in the error for a cluster.
fn roles(error: &str, cluster: &str, name: &str) -> String {
    let start = format!(" {cluster}: User ");
    let lines = error.lines().skip_while(|l| !l.contains(&start));
    let lines = lines.skip(1).map_while(|l| l.strip_prefix("  | "));
    let roles = lines
        .enumerate()
        .map(|(i, line)| role(line, &format!("{name}-{i}")));
    roles.collect::<String>().trim_end_matches("---\n").into()
}

#[test]
fn fault_34_a_user_without_the_rights_is_told_which_before_any_write_and_needs_no_others() {
    on_two_clusters(async |clusters| {
        let all = clusters.sandbox.clusters();
        let mut foreign = Vec::new();
        for cluster in all {
            foreign.push(Foreign::apply(cluster, BASE).await);
        }
        let limited = acting_as_limited(clusters);
        let install = async || -> Ended {
            ambikiali(&crate::support::INSTALL, &limited, clusters.state()).await
        };
        let marks = clusters.marks();
        let ended = install().await.exited(3);
        unwritten(&marks);
        let error = ended.error();
        let (lacks, unknown) = error.split_once("warning[AK1009]: ").expect("a warning");
        assert_eq!(
            lacks,
            format!(
                "[AK1003] {}error[AK1003]: {}",
                lacking("cluster1", &all_of("home")),
                lacking("cluster2", &all_of("remote"))
            )
        );
        assert!(unknown.contains(UNKNOWN), "{unknown}");
        for cluster in all {
            let granted = roles(&error, cluster.name(), "limited");
            foreign.push(Foreign::apply(cluster, &granted).await);
        }
        install().await.succeeded();
        foreign.push(moving_over(clusters, &install).await);
        only_one_review(clusters).await;
        clusters.cleaned().await;
        for foreign in foreign.into_iter().rev() {
            foreign.removed().await;
        }
    });
}

/// An install deletes only objects of an earlier version, so the right to delete is needed only then.
async fn moving_over<'a>(clusters: &'a Clusters, install: &impl AsyncFn() -> Ended) -> Foreign<'a> {
    let home = clusters.home();
    let made = of_an_earlier_version(clusters).await;
    let before = made.all().await;
    let marks = clusters.marks();
    let error = install().await.exited(3).error();
    unwritten(&marks);
    let delete = ["clusterrolebindings", "clusterroles"]
        .map(|kind| format!("delete {kind}.rbac.authorization.k8s.io"));
    let said = lacking(home.name(), &delete.each_ref().map(String::as_str));
    assert!(error.starts_with(&format!("[AK1003] {said}")), "{error}");
    assert_eq!(made.all().await, before);
    let granted = Foreign::apply(home, &roles(&error, home.name(), "mover")).await;
    install().await.succeeded();
    assert_eq!(made.all().await, [None, None]);
    granted
}

/// Checks that one review is enough for an administrator.
async fn only_one_review(clusters: &Clusters) {
    let marks = clusters.marks();
    clusters.installed().await;
    for mark in marks {
        let ours = mark.requests().unwrap().by_agent("ambikiali");
        let reviews = ours.iter().filter(|r| r.group == "authorization.k8s.io");
        let reviews = reviews.map(|r| r.resource.as_str()).collect::<Vec<_>>();
        assert_eq!(reviews, ["selfsubjectrulesreviews"]);
    }
}
