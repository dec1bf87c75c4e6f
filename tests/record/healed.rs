//! Deleted objects of the operator: `status` names them, a plan lists their return, and an install makes the operator
//! recreate them.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use crate::support::{Clusters, Foreign, from_an_install, get, patch, remove, unwritten};

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const BINDING: (&str, &str, &str) = (RBAC, "ClusterRoleBinding", "kiali");
const ROLE: (&str, &str, &str) = (RBAC, "ClusterRole", "kiali-viewer");
const ACCOUNT: (&str, &str, &str) = ("v1", "ServiceAccount", "kiali/kiali-service-account");
const CONFIG: (&str, &str, &str) = ("v1", "ConfigMap", "kiali/kiali");
const SERVICE: (&str, &str, &str) = ("v1", "Service", "kiali/kiali");
const SERVER: (&str, &str, &str) = ("apps/v1", "Deployment", "kiali/kiali");

const GONE: &str = "missing, and the operator does not restore it: run install again";

async fn deleted(cluster: &Cluster, objects: &[(&str, &str, &str)]) {
    for (api_version, kind, name) in objects {
        remove(cluster, api_version, kind, name).await;
    }
}

async fn mark(cluster: &Cluster) -> Value {
    let cr = get(cluster, "kiali.io/v1alpha1", "Kiali", "kiali/kiali").await;
    cr.expect("a CR")["metadata"]["annotations"]["kiali.io/reconcile"].clone()
}

/// One install restores all of them by touching the CR once; another install does nothing.
async fn healed(clusters: &Clusters, cluster: &Cluster, objects: &[(&str, &str, &str)]) {
    let before = mark(cluster).await;
    let marks = clusters.marks();
    let plan = clusters.install(&["--dry-run"]).await.succeeded();
    unwritten(&marks);
    let touched = "    .metadata.annotations['kiali.io/reconcile']";
    assert!(plan.stdout.contains(touched), "{}", plan.stdout);

    let ended = clusters.install(&[]).await.succeeded();
    for (api_version, kind, name) in objects {
        let there = get(cluster, api_version, kind, name).await;
        assert!(there.is_some(), "{kind} {name}");
        let said = format!("{kind} {name} is missing; the operator will recreate it");
        assert!(ended.stderr.contains(&said), "{said} in\n{}", ended.stderr);
    }
    assert_ne!(mark(cluster).await, before);
    clusters.run(&["status"]).await.succeeded();
    let verified = clusters.run(&["verify", "--probes", "none"]).await;
    verified.succeeded();
    let marks = clusters.marks();
    clusters.installed().await;
    unwritten(&marks);
}

async fn shown(clusters: &Clusters, lines: &[String]) {
    let status = clusters.run(&["status"]).await.exited(1);
    for line in lines {
        assert!(status.stdout.contains(line), "{line} in\n{}", status.stdout);
    }
}

#[test]
fn healed_is_what_somebody_deleted_of_the_operators_work_on_the_remote() {
    from_an_install(async |clusters| {
        let remote = clusters.remote();
        let objects = [BINDING, CONFIG];
        deleted(remote, &objects).await;
        let gone = ["ClusterRoleBinding kiali", "ConfigMap kiali/kiali"];
        shown(
            clusters,
            &gone.map(|object| format!("failed     {object}: {GONE}")),
        )
        .await;
        healed(clusters, remote, &objects).await;

        // The binding exists but refers to a missing role.
        deleted(remote, &[ROLE]).await;
        shown(
            clusters,
            &[format!("failed     ClusterRole kiali-viewer: {GONE}")],
        )
        .await;
        healed(clusters, remote, &[ROLE]).await;
        clusters.cleaned().await;
    });
}

#[test]
fn healed_is_what_somebody_deleted_of_the_operators_work_on_home() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        deleted(home, &[SERVER]).await;
        shown(
            clusters,
            &["not ready  Deployment kiali/kiali: not found".into()],
        )
        .await;
        healed(clusters, home, &[SERVER]).await;

        let objects = [BINDING, ROLE, ACCOUNT, CONFIG, SERVICE];
        deleted(home, &objects).await;
        let gone = [
            "ClusterRoleBinding kiali",
            "ServiceAccount kiali/kiali-service-account",
        ];
        shown(
            clusters,
            &gone.map(|object| format!("failed     {object}: {GONE}")),
        )
        .await;
        healed(clusters, home, &[BINDING, ACCOUNT, CONFIG, SERVICE]).await;
        assert!(get(home, ROLE.0, ROLE.1, ROLE.2).await.is_some());
        clusters.cleaned().await;
    });
}

/// A RoleBinding with a ServiceAccount of another namespace.
const NAMESPACED: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: kiali, namespace: kiali}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: kiali-viewer}
subjects:
  - {kind: ServiceAccount, name: kiali-service-account, namespace: kiali}
  - {kind: ServiceAccount, name: kiali-service-account, namespace: team}
";

#[test]
fn a_binding_of_the_operators_that_gives_its_rights_to_others_is_shown() {
    from_an_install(async |clusters| {
        let (api_version, kind, name) = BINDING;
        for cluster in clusters.sandbox.clusters() {
            let before = get(cluster, api_version, kind, name).await;
            let own = before.expect("a binding")["subjects"].clone();
            let mut more = own.clone();
            let group = "rbac.authorization.k8s.io";
            let eve = json!({"apiGroup": group, "kind": "User", "name": "eve\u{1b}[2J"});
            more.as_array_mut().expect("subjects").push(eve);
            let change = json!({"subjects": more});
            patch(cluster, api_version, kind, name, &change).await;
            let binding = "failed     ClusterRoleBinding kiali: also grants Kiali's rights to User eve\\x1b[2J, which the operator does not revert: kubectl";
            shown(clusters, &[binding.into()]).await;
            let change = json!({"subjects": own});
            patch(cluster, api_version, kind, name, &change).await;
            clusters.run(&["status"]).await.succeeded();
        }
        let theirs = Foreign::apply(clusters.remote(), NAMESPACED).await;
        let binding = "failed     RoleBinding kiali/kiali: also grants Kiali's rights to ServiceAccount team/kiali-service-account";
        shown(clusters, &[binding.into()]).await;
        theirs.removed().await;
        clusters.run(&["status"]).await.succeeded();
        a_binding_to_more(clusters).await;
        clusters.cleaned().await;
    });
}

/// A role reference cannot be changed: who wants another one makes the binding anew.
async fn a_binding_to_more(clusters: &Clusters) {
    let remote = clusters.remote();
    let (api_version, kind, name) = BINDING;
    let own = get(remote, api_version, kind, name).await;
    let mut more = own.expect("a binding");
    more["roleRef"]["name"] = json!("cluster-admin");
    more["metadata"] = json!({"name": name, "labels": more["metadata"]["labels"]});
    deleted(remote, &[BINDING]).await;
    Foreign::made(remote, vec![more], "somebody").await;
    let said = "failed     ClusterRoleBinding kiali: binds Kiali to ClusterRole cluster-admin in place of kiali-viewer: kubectl --context cluster2 delete clusterrolebinding kiali, then run install again";
    shown(clusters, &[said.into()]).await;
    deleted(remote, &[BINDING]).await;
    healed(clusters, remote, &[BINDING]).await;
}
