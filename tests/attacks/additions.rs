//! Fields that others added to our objects are detected, named and removed.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};

use crate::support::{
    Clusters, from_an_install, get, masked, merge, patch, progress, until, unwritten,
};

type Name = (&'static str, &'static str, &'static str);

const OPERATOR: Name = ("apps/v1", "Deployment", "kiali/kiali-operator");
const SERVICE: Name = ("v1", "Service", "kiali/prometheus");
const KIALI: Name = ("kiali.io/v1alpha1", "Kiali", "kiali/kiali");
const CONFIG: Name = ("v1", "ConfigMap", "kiali/prometheus-config");
const SECRET: Name = ("v1", "Secret", "kiali/kiali-multi-cluster-secret");
const ACCOUNT: Name = ("v1", "ServiceAccount", "kiali/kiali-operator");
const GATEWAY: Name = (
    "gateway.networking.k8s.io/v1",
    "Gateway",
    "istio-system/prometheus-gateway",
);
const ROLE: Name = (
    "rbac.authorization.k8s.io/v1",
    "ClusterRole",
    "kiali-operator",
);
const BINDING: Name = (
    "rbac.authorization.k8s.io/v1",
    "ClusterRoleBinding",
    "kiali-operator",
);
const ALL: [Name; 9] = [
    OPERATOR, SERVICE, KIALI, CONFIG, SECRET, ACCOUNT, GATEWAY, ROLE, BINDING,
];

async fn live(cluster: &Cluster, (api_version, kind, name): Name) -> Value {
    get(cluster, api_version, kind, name)
        .await
        .expect("an object")
}

async fn merged(cluster: &Cluster, (api_version, kind, name): Name, change: &Value) {
    merge(cluster, api_version, kind, name, change).await;
}

/// Returns the contents that our manifests determine.
async fn contents(cluster: &Cluster) -> Vec<Value> {
    let mut all = Vec::new();
    for name in ALL {
        let mut object = live(cluster, name).await;
        object.as_object_mut().unwrap().remove("metadata");
        object.as_object_mut().unwrap().remove("status");
        all.push(object);
    }
    all
}

/// Adds a field to each kind of object.
async fn edited(home: &Cluster) {
    let operator = json!({"spec": {"template": {"spec": {
        "hostPID": true,
        "initContainers": [{"name": "first", "image": "evil"}],
        "containers": [
            {"name": "operator", "command": ["sh"]},
            {"name": "second", "image": "evil"},
        ],
    }}}});
    patch(home, OPERATOR.0, OPERATOR.1, OPERATOR.2, &operator).await;
    merged(home, SERVICE, &json!({"spec": {"type": "LoadBalancer"}})).await;
    let labels = json!({"spec": {"deployment": {"pod_labels": {"theirs": "1"}}}});
    merged(home, KIALI, &labels).await;
    merged(home, CONFIG, &json!({"data": {"other.yml": "x"}})).await;
    merged(home, SECRET, &json!({"data": {"evil": "e30="}})).await;
    let token = json!({"automountServiceAccountToken": true});
    merged(home, ACCOUNT, &token).await;
    let mut listeners = live(home, GATEWAY).await["spec"]["listeners"].clone();
    let open = json!({"name": "open", "port": 9091, "protocol": "HTTP"});
    listeners.as_array_mut().unwrap().push(open);
    merged(home, GATEWAY, &json!({"spec": {"listeners": listeners}})).await;
    let mut rules = live(home, ROLE).await["rules"].clone();
    let any = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
    rules.as_array_mut().unwrap().push(any);
    merged(home, ROLE, &json!({"rules": rules})).await;
    let mut subjects = live(home, BINDING).await["subjects"].clone();
    let them = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"});
    subjects.as_array_mut().unwrap().push(them);
    merged(home, BINDING, &json!({"subjects": subjects})).await;
}

/// The lines of `status`, without the columns before the object.
const DRIFTED: [&str; 9] = [
    "Gateway istio-system/prometheus-gateway: added by somebody at TIME: .spec.listeners[open]",
    "ConfigMap kiali/prometheus-config: added by somebody at TIME: .data['other.yml']",
    "Service kiali/prometheus: added by somebody at TIME: .spec.allocateLoadBalancerNodePorts, .spec.externalTrafficPolicy, .spec.type, …",
    "ClusterRole kiali-operator: changed by somebody at TIME: .rules",
    "ClusterRoleBinding kiali-operator: changed by somebody at TIME: .subjects",
    "Deployment kiali/kiali-operator: added by somebody at TIME: .spec.template.spec.containers[operator].command, .spec.template.spec.containers[second], .spec.template.spec.hostPID, …",
    "ServiceAccount kiali/kiali-operator: added by somebody at TIME: .automountServiceAccountToken",
    "Secret kiali/kiali-multi-cluster-secret: added by somebody at TIME: .data.evil",
    "Kiali kiali/kiali: added by somebody at TIME: .spec.deployment.pod_labels",
];

#[test]
fn attack_07_what_somebody_added_is_named_planned_and_taken_out() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        let before = contents(home).await;
        edited(home).await;

        let status = clusters.run(&["status"]).await.exited(1);
        let shown = masked(&status.stdout);
        let drifted = shown
            .lines()
            .filter_map(|line| Some(line.split_once("  drifted    ")?.1));
        let mut drifted = drifted.collect::<Vec<_>>();
        drifted.sort_unstable();
        let mut expected = DRIFTED.to_vec();
        expected.sort_unstable();
        assert_eq!(drifted, expected);

        let marks = clusters.marks();
        let plan = clusters.install(&["--dry-run"]).await.succeeded();
        unwritten(&marks);
        for (_, kind, name) in ALL {
            let object = format!("{kind} {name}");
            let mut lines = plan.stdout.lines();
            let changed = |line: &str| line.starts_with("  change ") && line.ends_with(&object);
            assert!(lines.any(changed), "{object} in\n{}", plan.stdout);
        }

        let ended = clusters.install(&[]).await.succeeded();
        let said = progress(&ended.stderr);
        let told = "Deployment kiali/kiali-operator was given .spec.template.spec.";
        assert!(said.contains(told), "{said}");
        assert_eq!(contents(home).await, before);
        clusters.run(&["status"]).await.succeeded();
        whole(clusters).await;
        clusters.cleaned().await;
    });
}

/// Checks that another install has nothing to do.
async fn whole(clusters: &Clusters) {
    let marks = clusters.marks();
    clusters.installed().await;
    unwritten(&marks);
}

/// Edits an object with our field manager, or with emptied managedFields.
async fn disguised(home: &Cluster, name: &str, change: &Value) {
    let api = Api::<Deployment>::namespaced(home.client(), "kiali");
    let params = PatchParams {
        field_manager: Some("ambikiali".into()),
        ..PatchParams::default()
    };
    let edited = api.patch(name, &params, &Patch::Merge(change)).await;
    edited.expect("an edited Deployment");
}

#[test]
fn attack_07_an_edit_under_our_own_name_or_with_the_servers_book_emptied_is_seen() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        let before = contents(home).await;
        let host = json!({"spec": {"template": {"spec": {"hostNetwork": true}}}});
        disguised(home, "kiali-operator", &host).await;
        let mut emptied = json!({"spec": {"template": {"spec": {"hostPID": true}}}});
        emptied["metadata"] = json!({"managedFields": [{}]});
        disguised(home, "prometheus", &emptied).await;

        let status = clusters.run(&["status"]).await.exited(1);
        let shown = masked(&status.stdout);
        for line in [
            "drifted    Deployment kiali/kiali-operator: added by ambikiali at TIME: .spec.template.spec.hostNetwork",
            "drifted    Deployment kiali/prometheus: ",
        ] {
            assert!(shown.contains(line), "{line} in\n{shown}");
        }
        clusters.installed().await;
        let after = live(home, ("apps/v1", "Deployment", "kiali/prometheus")).await;
        assert_eq!(after["spec"]["template"]["spec"]["hostPID"], Value::Null);
        assert_eq!(contents(home).await, before);
        clusters.run(&["status"]).await.succeeded();
        whole(clusters).await;
        // The object is still ours and is removed with the rest.
        clusters.cleaned().await;
    });
}

#[test]
fn attack_07_what_others_may_add_is_left_and_costs_no_question() {
    from_an_install(async |clusters| {
        let home = clusters.home();
        let restart = json!({"kubectl.kubernetes.io/restartedAt": "2026-01-02T03:04:05Z"});
        let theirs = json!({
            "metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}},
            "spec": {"template": {"metadata": {"annotations": restart}}},
        });
        patch(home, OPERATOR.0, OPERATOR.1, OPERATOR.2, &theirs).await;
        let metadata = json!({"metadata": {"annotations": {"note": "b"}}});
        merged(home, SERVICE, &metadata).await;
        until("the operator has started again", async || {
            clusters.run(&["status"]).await.code == 0
        })
        .await;
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        for mark in marks {
            let requests = mark.requests().unwrap().by_agent("ambikiali");
            // The checks before an install apply each manifest in a dry run, strictly.
            let strict = "fieldValidation=Strict";
            let asked = requests
                .iter()
                .filter(|r| r.dry_run && !r.uri.contains(strict));
            let asked = asked.collect::<Vec<_>>();
            assert!(asked.is_empty(), "{asked:#?}");
            assert!(requests.iter().any(|r| r.dry_run));
        }
        let after = live(home, OPERATOR).await;
        assert_eq!(after["metadata"]["labels"]["team"], "a");
        clusters.cleaned().await;
    });
}
