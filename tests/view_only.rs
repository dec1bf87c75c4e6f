//! Kiali only looks, unless `--allow-write` lets it change what it shows: moving between both, an install of an earlier
//! version, which always let it write, and what `status` and `verify` say of rights that nobody asked for.

use std::collections::BTreeSet;

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::audit::Request;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{
    Clusters, Foreign, WRITES, ambikiali, from_an_install, get, kubeconfig, masked, may, may_as,
    on_two_clusters, remove, rewritten, until, unwritten,
};

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const KIALI: &str = "kiali.io/v1alpha1";
const VERIFY: [&str; 3] = ["verify", "--probes", "none"];
const VIEWER: &str = "kiali-viewer";
const WRITER: &str = "kiali";

async fn role(cluster: &Cluster, name: &str) -> Option<Value> {
    get(cluster, RBAC, "ClusterRole", name).await
}

/// The role that Kiali is bound to, and the other one of both is gone.
async fn is_bound_to(clusters: &Clusters, wanted: &str) {
    for cluster in clusters.sandbox.clusters() {
        let binding = get(cluster, RBAC, "ClusterRoleBinding", "kiali").await;
        assert_eq!(binding.expect("a binding")["roleRef"]["name"], wanted);
        for name in [VIEWER, WRITER] {
            let there = role(cluster, name).await.is_some();
            assert_eq!(there, name == wanted, "{}: {name}", cluster.name());
        }
    }
}

/// What `verify` says of Kiali's rights in each cluster.
#[track_caller]
fn assert_rights(verified: &str, said: [&str; 2]) {
    let lines = verified
        .lines()
        .filter(|line| line[10..].starts_with("rights "));
    assert_eq!(lines.collect::<Vec<_>>(), said, "{verified}");
}

async fn changes_nothing(clusters: &Clusters) {
    let verified = clusters.run(&VERIFY).await.succeeded().stdout;
    let said = [
        "ok        rights         cluster1      Kiali only looks: the API server denies it 27 of 27 changes asked about",
        "ok        rights         cluster2      Kiali only looks: the API server denies it 27 of 27 changes asked about",
    ];
    assert_rights(&verified, said);
    let token = get(clusters.remote(), "v1", "Secret", "kiali/kiali").await;
    let token = token.expect("a token");
    for (group, resource, verb) in WRITES {
        let what = format!("{verb} {resource}.{group}");
        for cluster in clusters.sandbox.clusters() {
            assert!(!may(cluster, verb, group, resource, "").await, "{what}");
        }
        let by_token = may_as(clusters.remote(), &token, verb, group, resource).await;
        assert!(!by_token, "{what}");
    }
}

async fn second_install_writes_nothing(clusters: &Clusters) {
    let marks = clusters.marks();
    clusters.install(&[]).await.succeeded();
    unwritten(&marks);
}

#[test]
fn kiali_only_looks_until_it_is_allowed_to_write_and_then_looks_again() {
    from_an_install(async |clusters| {
        is_bound_to(clusters, VIEWER).await;
        changes_nothing(clusters).await;
        let looking = operator_rights(clusters.remote()).await;
        let viewer = rights(&role(clusters.remote(), VIEWER).await.expect("a role"));

        let plan = clusters.install(&["--allow-write", "--dry-run"]).await;
        let plan = plan.succeeded();
        assert_plan(&plan.stdout, "true -> (none)");
        let ended = clusters.install(&["--allow-write"]).await.succeeded();
        let said = "option changed since the last install: --allow-write=false -> true\n";
        assert!(ended.stderr.contains(said), "{ended:#?}");
        let given = "Kiali asks for no login: anyone who can reach it can change workloads and Istio's configuration in every cluster; ambikiali install --allow-write=false makes it view-only again.\n";
        assert!(ended.stdout.contains(given), "{ended:#?}");
        is_bound_to(clusters, WRITER).await;
        let verified = clusters.run(&VERIFY).await.succeeded().stdout;
        let said = [
            "ok        rights         cluster1      Kiali may change workloads and Istio's configuration, as --allow-write allows",
            "ok        rights         cluster2      Kiali may change workloads and Istio's configuration, as --allow-write allows",
        ];
        assert_rights(&verified, said);
        second_install_writes_nothing(clusters).await;
        let status = clusters.run(&["status"]).await.succeeded().stdout;
        let said = "options in the record of the install: --allow-write\n";
        assert!(status.contains(said), "{status}");
        let writing = operator_rights(clusters.remote()).await;
        let writer = rights(&role(clusters.remote(), WRITER).await.expect("a role"));
        the_operator_holds_what_it_grants_and_no_more(&looking, &viewer, &writing, &writer);

        let plan = clusters
            .install(&["--allow-write=false", "--dry-run"])
            .await;
        assert_plan(&plan.succeeded().stdout, "(none) -> true");
        let ended = clusters.install(&["--allow-write=false"]).await.succeeded();
        let said = "option changed since the last install: --allow-write=true -> false\n";
        assert!(ended.stderr.contains(said), "{ended:#?}");
        is_bound_to(clusters, VIEWER).await;
        changes_nothing(clusters).await;
        clusters.run(&["status"]).await.succeeded();
        second_install_writes_nothing(clusters).await;
        assert_eq!(operator_rights(clusters.remote()).await, looking);
        clusters.cleaned().await;
    });
}

/// Besides the records: the operator's own rights, the CR of each cluster, and a restart of Kiali, which never comes
/// back to a cluster in which it lacked rights.
#[track_caller]
fn assert_plan(plan: &str, change: &str) {
    let lines = plan.lines().map(str::trim_end);
    let lines = lines
        .filter(|line| !line.contains(".rules"))
        .collect::<Vec<_>>();
    let field = format!("             .spec.deployment.view_only_mode: {change}");
    assert_eq!(
        lines,
        [
            "cluster1",
            "  change   namespace           ConfigMap kiali/ambikiali-record",
            "  hold     namespace           Lease kiali/ambikiali",
            "  change   kiali operator      ClusterRole kiali-operator",
            "  change   kiali               Deployment kiali/kiali",
            "             .spec.template.metadata.annotations['kubectl.kubernetes.io/restartedAt']",
            "  change   kiali               Kiali kiali/kiali",
            &field,
            "cluster2",
            "  change   namespace           ConfigMap kiali/ambikiali-record",
            "  change   kiali operator      ClusterRole kiali-operator",
            "  change   remote cluster      Kiali kiali/kiali",
            &field,
            "Plan: 7 to change, 35 unchanged; nothing was written",
        ],
        "{plan}"
    );
}

type Rights = BTreeSet<[String; 3]>;

/// Group, resource and verb of each rule without names.
fn rights(role: &Value) -> Rights {
    let words = |value: &Value| {
        let words = value.as_array().expect("a list").iter();
        let words = words.map(|word| word.as_str().expect("a word").to_string());
        words.collect::<Vec<_>>()
    };
    let mut rights = Rights::new();
    let rules = role["rules"].as_array().expect("rules").iter();
    for rule in rules.filter(|rule| rule["resourceNames"].is_null()) {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    rights.insert([group.clone(), resource.clone(), verb]);
                }
            }
        }
    }
    rights
}

async fn operator_rights(cluster: &Cluster) -> Rights {
    rights(&role(cluster, "kiali-operator").await.expect("a role"))
}

/// What the operator needs itself of the verbs that only a writing Kiali has: it makes Services and Deployments, and
/// its roles label namespaces.
const ITS_OWN: [(&str, &str); 3] = [
    ("", "namespaces"),
    ("", "services"),
    ("apps", "deployments"),
];

fn the_operator_holds_what_it_grants_and_no_more(
    looking: &Rights,
    viewer: &Rights,
    writing: &Rights,
    writer: &Rights,
) {
    let has = |held: &Rights, [group, resource, verb]: &[String; 3]| {
        let one = |resource: &str| held.contains(&[group.clone(), resource.into(), verb.clone()]);
        one(resource) || one("*")
    };
    for right in viewer {
        assert!(has(looking, right), "a viewer needs {right:?}");
    }
    let more = writer.iter().filter(|right| !has(viewer, right));
    let more = more.collect::<Vec<_>>();
    assert!(more.len() > 20, "{more:?}");
    for right in more {
        let [group, resource, _] = right;
        let own = ITS_OWN.contains(&(group.as_str(), resource.as_str()));
        assert_eq!(has(looking, right), own, "{right:?}");
        assert!(has(writing, right), "a writer needs {right:?}");
    }
    let less = looking.difference(writing).collect::<Vec<_>>();
    assert!(less.is_empty(), "{less:?}");
}

/// What an earlier version applied: a CR without the field, an operator with all rights, a record without the option.
async fn of_an_earlier_version(clusters: &Clusters) {
    clusters.install(&["--allow-write"]).await.succeeded();
    for cluster in clusters.sandbox.clusters() {
        let cr = get(cluster, KIALI, "Kiali", "kiali/kiali").await;
        let mut cr = applied(cr.expect("a CR"));
        let deployment = cr["spec"]["deployment"].as_object_mut();
        deployment.expect("a map").remove("view_only_mode");
        cr.as_object_mut().expect("a map").remove("status");
        Foreign::made(cluster, vec![cr], "ambikiali").await;
        until("the operator is done with it", async || {
            let cr = get(cluster, KIALI, "Kiali", "kiali/kiali").await;
            let cr = cr.expect("a CR");
            let running = cr["status"]["conditions"].as_array().expect("conditions");
            let running = running.iter().find(|c| c["type"] == "Running");
            let asked = &cr["spec"]["deployment"]["view_only_mode"];
            asked.is_null() && running.is_some_and(|c| c["reason"] == "Successful")
        })
        .await;
    }
    rewritten(clusters.home(), |content| {
        let options = content.as_object_mut().expect("a map").remove("options");
        assert_eq!(options.expect("options")["values"]["allow-write"], "true");
    })
    .await;
}

/// A live object as its manager would apply it again.
fn applied(mut live: Value) -> Value {
    let metadata = live["metadata"].as_object_mut().expect("metadata");
    metadata
        .retain(|key, _| ["name", "namespace", "labels", "annotations"].contains(&key.as_str()));
    live
}

const MAY_WRITE: &str = "[AK1432] Kiali may only look, but its account may patch namespaces; patch pods; patch services; patch daemonsets.apps; patch deployments.apps; patch statefulsets.apps; patch jobs.batch; create, delete, patch wasmplugins.extensions.istio.io; create, delete, patch httproutes.gateway.networking.k8s.io; create, delete, patch virtualservices.networking.istio.io; create, delete, patch authorizationpolicies.security.istio.io; create, delete, patch telemetries.telemetry.istio.io";

#[test]
fn an_install_of_an_earlier_version_only_looks_after_the_next_one() {
    on_two_clusters(async |clusters| {
        of_an_earlier_version(clusters).await;
        is_bound_to(clusters, WRITER).await;
        let verified = clusters.run(&VERIFY).await.exited(5).stdout;
        let said = ["cluster1", "cluster2"]
            .map(|name| format!("broken    rights         {name}      {MAY_WRITE}"));
        assert_rights(&verified, said.each_ref().map(String::as_str));
        let status = clusters.run(&["status"]).await.exited(1).stdout;
        let said = "failed     ClusterRoleBinding kiali: binds Kiali to ClusterRole kiali, as its CR asks, in place of kiali-viewer: run install again\n";
        assert_eq!(status.matches(said).count(), 2, "{status}");
        let plan = clusters.run(&[
            "plan",
            "--ctx1",
            "cluster1",
            "--ctx2",
            "cluster2",
            "--allow-loopback",
        ]);
        let plan = plan.await.succeeded().stdout;
        let field = "             .spec.deployment.view_only_mode: (none) -> true\n";
        assert_eq!(plan.matches(field).count(), 2, "{plan}");
        clusters.install(&[]).await.succeeded();
        is_bound_to(clusters, VIEWER).await;
        changes_nothing(clusters).await;
        clusters.run(&["status"]).await.succeeded();
        second_install_writes_nothing(clusters).await;
        clusters.cleaned().await;
    });
}

const MORE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: more}
rules:
  - {apiGroups: [apps], resources: [deployments], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: more}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: more}
subjects: [{kind: ServiceAccount, name: kiali-service-account, namespace: kiali}]
";
const IN_ITS_NAMESPACE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: more, namespace: kiali}
rules:
  - {apiGroups: [''], resources: [secrets], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: more, namespace: kiali}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: more}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:serviceaccounts:kiali'}]
";

#[test]
fn rights_that_somebody_gave_to_kiali_are_found_by_verify() {
    from_an_install(async |clusters| {
        let more = Foreign::apply(clusters.remote(), MORE).await;
        let in_its_namespace = Foreign::apply(clusters.home(), IN_ITS_NAMESPACE).await;
        let json = [&VERIFY[..], &["-o", "json"]].concat();
        let verified = clusters.run(&json).await.exited(5).stdout;
        let verified: Value = serde_json::from_str(&verified).expect("JSON");
        let hops = verified["hops"].as_array().expect("hops").iter();
        let hops = hops
            .filter(|hop| hop["hop"] == "rights")
            .collect::<Vec<_>>();
        let found = |cluster: &str, what: &str| {
            json!({
                "hop": "rights", "verdict": "broken", "code": "AK1432", "cluster": cluster,
                "message": format!("Kiali may only look, but its account may {what}"),
            })
        };
        assert_eq!(hops[0], &found("cluster1", "get secrets"));
        assert_eq!(hops[1], &found("cluster2", "patch deployments.apps"));
        assert_eq!(hops.len(), 2);
        in_its_namespace.removed().await;
        more.removed().await;
        changes_nothing(clusters).await;
        a_user_who_may_not_ask(clusters).await;
        a_binding_to_the_writer(clusters).await;
        clusters.cleaned().await;
    });
}

const READER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules:
  - {apiGroups: ['*'], resources: ['*'], verbs: [get, list, watch]}
  - {apiGroups: [''], resources: [pods/exec, pods/portforward], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]
";

/// In the remote, the token itself asks, whoever the user is.
async fn a_user_who_may_not_ask(clusters: &Clusters) {
    let mut readers = Vec::new();
    for cluster in clusters.sandbox.clusters() {
        readers.push(Foreign::apply(cluster, READER).await);
    }
    let to = clusters.state().join("reader");
    let as_reader = kubeconfig(clusters.sandbox.kubeconfig(), to, |config| {
        for user in config["users"].as_array_mut().expect("users") {
            user["user"]["as"] = json!("reader");
        }
    });
    let verified = ambikiali(&VERIFY, &as_reader, clusters.state()).await;
    let said = [
        r#"skipped   rights         cluster1      not asked what Kiali may change: subjectaccessreviews.authorization.k8s.io is forbidden: User "reader" cannot create resource "subjectaccessreviews" in API group "authorization.k8s.io" at the cluster scope"#,
        "ok        rights         cluster2      Kiali only looks: the API server denies it 27 of 27 changes asked about",
    ];
    assert_rights(&verified.succeeded().stdout, said);
    for reader in readers {
        reader.removed().await;
    }
}

/// The operator neither sees this nor can it mend it, because its CR stays the same.
async fn a_binding_to_the_writer(clusters: &Clusters) {
    let remote = clusters.remote();
    let binding = get(remote, RBAC, "ClusterRoleBinding", "kiali").await;
    let own = applied(binding.expect("a binding"));
    let mut writer = applied(role(remote, VIEWER).await.expect("a role"));
    writer["metadata"] = json!({"name": WRITER});
    let verbs = json!({"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["patch"]});
    writer["rules"].as_array_mut().expect("rules").push(verbs);
    let mut more = own.clone();
    more["roleRef"]["name"] = json!(WRITER);
    remove(remote, RBAC, "ClusterRoleBinding", "kiali").await;
    let theirs = Foreign::made(remote, vec![writer, more], "somebody").await;
    let status = clusters.run(&["status"]).await.exited(1).stdout;
    let said = "failed     ClusterRoleBinding kiali: binds Kiali to ClusterRole kiali in place of kiali-viewer: kubectl --context cluster2 delete clusterrolebinding kiali, then run install again\n";
    assert!(status.contains(said), "{status}");
    let verified = masked(&clusters.run(&VERIFY).await.exited(5).stdout);
    let said = "broken    rights         cluster2      [AK1432] Kiali may only look, but its account may patch jobs.batch\n";
    assert!(verified.contains(said), "{verified}");
    theirs.removed().await;
    clusters.install(&[]).await.succeeded();
    is_bound_to(clusters, VIEWER).await;
    clusters.run(&["status"]).await.succeeded();
}

/// As after an install that was stopped between the operators' removal of the old binding and the end of the new one:
/// nothing is left to write, but Kiali has lacked its rights.
#[test]
fn a_kiali_that_is_older_than_its_rights_is_restarted_once() {
    from_an_install(async |clusters| {
        let (home, remote) = (clusters.home(), clusters.remote());
        until("Kiali's pod is some seconds old", async || {
            let deployment = get(home, "apps/v1", "Deployment", "kiali/kiali").await;
            let conditions = deployment.expect("a Deployment")["status"]["conditions"].clone();
            let conditions = conditions.as_array().cloned().unwrap_or_default();
            let rolled = conditions.iter().find(|c| c["type"] == "Progressing");
            let since = rolled.and_then(|c| c["lastUpdateTime"].as_str());
            let since = since.and_then(|since| since.parse::<Timestamp>().ok());
            since.is_some_and(|since| Timestamp::now().duration_since(since).as_secs() > 5)
        })
        .await;
        let binding = get(remote, RBAC, "ClusterRoleBinding", "kiali").await;
        let binding = applied(binding.expect("a binding"));
        remove(remote, RBAC, "ClusterRoleBinding", "kiali").await;
        Foreign::made(remote, vec![binding], "kiali-operator").await;
        let marks = clusters.marks();
        clusters.install(&[]).await.succeeded();
        let [on_home, on_remote] = marks.map(|mark| {
            let writes = mark.requests().expect("an audit log");
            let writes = writes.by_agent("ambikiali").writes().but_leases();
            let name = |r: &Request| format!("{} {}/{}", r.verb, r.resource, r.name);
            writes.iter().map(name).collect::<Vec<_>>()
        });
        assert_eq!(on_home, ["patch deployments/kiali"]);
        assert_eq!(on_remote, [""; 0]);
        second_install_writes_nothing(clusters).await;
        clusters.cleaned().await;
    });
}
