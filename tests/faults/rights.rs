//! Rights that are revoked during an install.

use std::fs;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::support::{
    CLEANUP, Clusters, Foreign, INSTALL, ambikiali, command, get, on_two_clusters, output, until,
    unwritten,
};

const INSTALLER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: installer, namespace: default}
";

const RIGHTS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: installer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: installer, namespace: default}]
";

/// Returns the kubeconfig with this token for the remote.
fn as_installer(clusters: &Clusters, token: &str) -> PathBuf {
    let text = fs::read_to_string(clusters.sandbox.kubeconfig()).expect("a kubeconfig");
    let mut kubeconfig: Value = serde_json::from_str(&text).expect("JSON");
    let users = kubeconfig["users"].as_array_mut().expect("users");
    let user = users.iter_mut().find(|user| user["name"] == "cluster2");
    user.expect("the remote's user")["user"] = json!({"token": token});
    let file = clusters.state().join("kubeconfig");
    fs::write(&file, kubeconfig.to_string()).expect("a kubeconfig");
    file
}

/// Grants the account its rights, and waits until they are effective.
async fn given<'a>(clusters: &'a Clusters, token: &str) -> Foreign<'a> {
    let rights = Foreign::apply(clusters.remote(), RIGHTS).await;
    let client = clusters.remote().client_with_token(token);
    let namespaces = Api::<Namespace>::all(client.expect("a client"));
    until("the account has its rights", async || {
        namespaces.list(&ListParams::default()).await.is_ok()
    })
    .await;
    rights
}

#[test]
fn fault_35_rights_that_are_lost_in_the_middle_are_named_and_nothing_is_lost() {
    on_two_clusters(async |clusters| {
        let account = Foreign::apply(clusters.remote(), INSTALLER).await;
        let token = clusters.remote().token("default", "installer").await;
        let token = token.expect("a token");
        let file = as_installer(clusters, &token);
        let rights = given(clusters, &token).await;
        let [_, remote] = clusters.marks();
        let install = command(&INSTALL, &file, clusters.state()).spawn();
        until("the remote was written to", async || {
            let ours = remote.requests().unwrap().by_agent("ambikiali");
            ours.writes().len() >= 5
        })
        .await;
        rights.removed().await;
        let ended = output(install.expect("the binary starts")).await.exited(1);
        assert_refused(&ended.error());
        assert_eq!(ended.stdout, "");
        let secret = "kiali/kiali-multi-cluster-secret";
        assert_eq!(get(clusters.home(), "v1", "Secret", secret).await, None);

        cleanup_without_rights(clusters, &file).await;
        let rights = given(clusters, &token).await;
        let run = async |arguments: &[&str]| ambikiali(arguments, &file, clusters.state()).await;
        run(&INSTALL).await.succeeded();
        run(&CLEANUP).await.succeeded();
        rights.removed().await;
        account.removed().await;
    });
}

/// Checks the form of the error. It does not depend on which request is rejected first.
#[track_caller]
fn assert_refused(error: &str) {
    let (cause, fix) = error.split_once("\n").expect("two lines");
    let (step_and_object, said) = cause
        .split_once(" is forbidden: ")
        .unwrap_or_else(|| panic!("a refusal: {error}"));
    assert!(step_and_object.contains(": cluster2: "), "{error}");
    let user = "User \"system:serviceaccount:default:installer\" cannot ";
    assert!(said.starts_with(user), "{error}");
    let what = &said[user.len()..];
    let verbs = ["get ", "list ", "watch ", "patch ", "create "];
    assert!(verbs.iter().any(|verb| what.starts_with(verb)), "{error}");
    assert!(what.contains(" resource \""), "{error}");
    let command = fix.replace(" -n kiali", "").replace(" -n istio-system", "");
    let can_i = "  fix: kubectl --context cluster2 auth can-i --list\n";
    assert_eq!(command, can_i, "{error}");
}

async fn cleanup_without_rights(clusters: &Clusters, file: &std::path::Path) {
    let marks = clusters.marks();
    let ended = ambikiali(&["cleanup"], file, clusters.state()).await;
    let error = ended.exited(8).error();
    let refused = "[AK1003] context cluster2 at https://127.0.0.1:PORT: ";
    assert!(error.starts_with(refused), "{error}");
    assert!(error.contains(" is forbidden: "), "{error}");
    unwritten(&marks);
}
