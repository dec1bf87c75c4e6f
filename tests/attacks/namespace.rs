//! Namespace kiali is deleted only if it has no foreign objects and if that is certain.

use ambikiali_sandbox::fault::{Action, Answer, Fault, Verb, When};
use serde_json::{Value, json};

use crate::answers::behind::Behind;
use crate::cleanup::CLEAN;
use crate::support::{
    Clusters, Ended, Foreign, ambikiali, from_an_install, get, kubeconfig, masked, progress, until,
    widgets,
};

/// Objects owned by a cluster-wide object that stays, by a missing owner, and by nothing.
const THEIRS: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: owned
  namespace: kiali
  ownerReferences: [{apiVersion: v1, kind: Namespace, name: kube-system, uid: UID}]
data: {remember: the milk}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: theirs, namespace: kiali}
spec: {holderIdentity: their-controller}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: theirs, namespace: kiali}
addressType: IPv4
endpoints: [{addresses: [10.9.9.9]}]
ports: [{port: 5432}]
";

async fn uid(clusters: &Clusters, kind: &str, name: &str) -> String {
    let live = get(clusters.remote(), "v1", kind, name).await;
    let uid = live.expect("an object")["metadata"]["uid"].clone();
    uid.as_str().expect("a UID").to_string()
}

#[track_caller]
fn kept(ended: &Ended, why: &str) {
    let left = format!("left  cluster2      Namespace kiali: {why}");
    assert!(ended.stdout.contains(&left), "{}", ended.stdout);
    let said = progress(&ended.stderr);
    let line = format!("cluster2      namespace           done     kept kiali: {why}");
    assert!(said.contains(&line), "{said}");
}

#[test]
fn attack_04_owned_objects_leases_and_slices_of_others_keep_the_namespace() {
    from_an_install(async |clusters| {
        let system = uid(clusters, "Namespace", "kube-system").await;
        let theirs = Foreign::apply(clusters.remote(), &THEIRS.replace("UID", &system)).await;
        let before = theirs.all().await;
        let why =
            "it holds ConfigMap kiali/owned, EndpointSlice kiali/theirs, Lease kiali/theirs\n";
        for _ in 0..2 {
            let ended = clusters.run(&["cleanup"]).await.exited(6);
            kept(&ended, why);
            assert_eq!(theirs.all().await, before);
        }
        theirs.removed().await;
        let ended = clusters.run(&["cleanup"]).await.succeeded();
        assert_eq!(masked(&ended.stdout), CLEAN);
    });
}

/// Grants user `limited` all rights for all kinds except the widgets.
async fn rights(clusters: &Clusters) -> Foreign<'_> {
    let groups = clusters.remote().client().list_api_groups().await;
    let groups = groups
        .expect("the groups")
        .groups
        .into_iter()
        .map(|group| group.name);
    let mut groups = groups
        .filter(|name| name != "example.com")
        .collect::<Vec<_>>();
    groups.push(String::new());
    let rbac = "rbac.authorization.k8s.io";
    let objects = vec![
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": "limited"},
            "rules": [
                {"apiGroups": groups, "resources": ["*"], "verbs": ["*"]},
                {"nonResourceURLs": ["*"], "verbs": ["*"]},
            ],
        }),
        json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": "limited"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "limited"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": "limited"}],
        }),
    ];
    Foreign::made(clusters.remote(), objects, "somebody").await
}

#[test]
fn attack_04_a_kind_that_may_not_be_listed_keeps_the_namespace() {
    from_an_install(async |clusters| {
        let widgets = Foreign::apply(clusters.remote(), &widgets("kiali")).await;
        let rights = rights(clusters).await;
        let file = clusters.state().join("limited");
        let file = kubeconfig(clusters.sandbox.kubeconfig(), file, |config| {
            crate::support::entry(config, "user", "cluster2")["as"] = json!("limited");
        });
        let limited =
            async |arguments: &[&str]| ambikiali(arguments, &file, clusters.state()).await;
        until("the user has the rights", async || {
            limited(&["status"]).await.code == 0
        })
        .await;
        let ended = limited(&["cleanup"]).await.exited(6);
        kept(
            &ended,
            "what it holds is not known, as these cannot be listed: widgets (widgets.example.com is forbidden: User \"limited\" cannot list resource \"widgets\"",
        );
        let one = get(clusters.remote(), "example.com/v1", "Widget", "kiali/one").await;
        assert!(one.is_some());
        widgets.removed().await;
        rights.removed().await;
        clusters.cleaned().await;
    });
}

fn answer(body: Value) -> Action {
    Action::Answer(Answer {
        code: 200,
        content_type: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        retry_after: None,
        body: body.to_string(),
    })
}

#[test]
fn attack_04_a_list_of_kinds_that_names_too_little_keeps_the_namespace() {
    from_an_install(async |clusters| {
        let notes = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"remember": "the milk"},
            "metadata": {"name": "notes", "namespace": "kiali"},
        });
        let notes = Foreign::made(clusters.remote(), vec![notes], "somebody").await;
        let before = notes.all().await;
        let behind = Behind::proxies(clusters).await;
        let empty = json!({
            "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": [],
        });
        let pods = json!({
            "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
            "items": [{"metadata": {"name": ""}, "versions": [{"version": "v1", "resources": [{
                "resource": "pods", "scope": "Namespaced", "singularResource": "pod",
                "verbs": ["list", "delete"],
                "responseKind": {"group": "", "version": "v1", "kind": "Pod"},
            }]}]}],
        });
        let another = json!({"kind": "Status", "apiVersion": "v1", "status": "Success"});
        for body in [empty.clone(), pods, another, json!({}), json!([])] {
            for (path, body) in [("/api", body), ("/apis", empty.clone())] {
                behind.remote.add(Fault {
                    verbs: Verb::READS,
                    path,
                    when: When::Always,
                    action: answer(body),
                });
            }
            let ended = behind.cleanup().await.exited(6);
            assert!(!ended.stdout.contains("Clean"), "{ended:#?}");
            assert!(ended.error().contains("cluster2: "), "{ended:#?}");
            assert_eq!(notes.all().await, before);
            behind.heal();
        }
        // With a complete list of kinds, the object is found.
        let ended = clusters.run(&["cleanup"]).await.exited(6);
        kept(&ended, "it holds ConfigMap kiali/notes\n");
        notes.removed().await;
        clusters.cleaned().await;
    });
}
