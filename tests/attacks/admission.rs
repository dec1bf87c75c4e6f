//! Somebody who writes admission policies or webhooks lets something else run in our name, opens our objects, or makes
//! objects that lack our labels or cannot be removed.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use crate::support::{
    BOTH, Clusters, Ended, Foreign, get, masked, merge, on_an_install, on_two_clusters, patch,
    progress, remove, until, until_changed, unwritten,
};

/// Adds a volume of the node and a variable to Deployments, a variable to pods, and an address to a Service.
const AGENT: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: agent}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector:
      matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [NAMESPACES, default]}]
    resourceRules:
      - {apiGroups: [apps], apiVersions: ['*'], operations: [CREATE, UPDATE], resources: [deployments]}
  matchConditions:
    - name: ours
      expression: "['prometheus', 'kiali-operator'].exists(name, object.metadata.name in [name, name + '-as-new'])"
  mutations:
    - patchType: ApplyConfiguration
      applyConfiguration:
        expression: >-
          Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
            containers: [Object.spec.template.spec.containers{
              name: object.spec.template.spec.containers[0].name,
              env: [Object.spec.template.spec.containers.env{name: "AGENT", value: "on"}]
            }],
            volumes: [Object.spec.template.spec.volumes{
              name: "agent",
              hostPath: Object.spec.template.spec.volumes.hostPath{path: "/"}
            }]
          }}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: agent}
spec: {policyName: agent}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: agent-of-pods}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector:
      matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [NAMESPACES]}]
    resourceRules:
      - {apiGroups: [''], apiVersions: ['*'], operations: [CREATE], resources: [pods]}
  matchConditions:
    - name: ours
      expression: "has(object.metadata.labels) && has(object.metadata.labels.app) && object.metadata.labels.app == 'kiali-operator'"
  mutations:
    - patchType: ApplyConfiguration
      applyConfiguration:
        expression: >-
          Object{spec: Object.spec{containers: [Object.spec.containers{
            name: object.spec.containers[0].name,
            env: [Object.spec.containers.env{name: "AGENT_OF_POD", value: "on"}]
          }]}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: agent-of-pods}
spec: {policyName: agent-of-pods}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: more-addresses}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector:
      matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [NAMESPACES, default]}]
    resourceRules:
      - {apiGroups: [''], apiVersions: ['*'], operations: [CREATE, UPDATE], resources: [services]}
  matchConditions:
    - name: ours
      expression: "object.metadata.name in ['prometheus', 'prometheus-as-new']"
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: '[JSONPatch{op: "add", path: "/spec/externalIPs", value: ["192.0.2.1"]}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: more-addresses}
spec: {policyName: more-addresses}
"#;

/// Objects of no one, to see whether the policies are in force.
const PROBE: (&str, &str) = (
    "
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus, namespace: default}
spec:
  selector: {matchLabels: {app: probe}}
  template:
    metadata: {labels: {app: probe}}
    spec: {containers: [{name: a, image: example}]}
",
    "/spec/template/spec/volumes",
);

const ADDRESSES: (&str, &str) = (
    "
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: default}
spec: {ports: [{port: 1}]}
",
    "/spec/externalIPs",
);

async fn agent<'a>(cluster: &'a Cluster, namespace: &str) -> Foreign<'a> {
    let agent = Foreign::apply(cluster, &AGENT.replace("NAMESPACES", namespace)).await;
    until_changed(cluster, PROBE, true).await;
    until_changed(cluster, ADDRESSES, true).await;
    agent
}

async fn gone(cluster: &Cluster, agent: Foreign<'_>) {
    agent.removed().await;
    until_changed(cluster, PROBE, false).await;
    until_changed(cluster, ADDRESSES, false).await;
}

/// The notes of an install about what runs.
fn notes(ended: &Ended) -> Vec<String> {
    let said = progress(&ended.stderr);
    let lines = said.lines().filter(|line| line.contains("  note  "));
    let lines = lines.filter(|line| line.contains("admission policy or webhook"));
    lines.map(masked).collect()
}

#[track_caller]
fn told(notes: &[String], object: &str, fields: &[&str]) {
    let tells =
        |note: &String| note.contains(object) && fields.iter().all(|field| note.contains(field));
    assert!(notes.iter().any(tells), "{object}, {fields:?}: {notes:#?}");
}

const VOLUMES: &str = ".spec.template.spec.volumes";
const DEPLOYMENT: (&str, &str, &str) = ("apps/v1", "Deployment", "kiali/prometheus");

/// The pod template of a Deployment, as it is.
async fn template(home: &Cluster) -> Value {
    let live = get(home, DEPLOYMENT.0, DEPLOYMENT.1, DEPLOYMENT.2).await;
    live.expect("a Deployment")["spec"]["template"]["spec"].clone()
}

#[test]
fn attack_19_a_policy_that_changes_what_runs_is_told_by_each_command_that_could_see_it() {
    on_two_clusters(async |clusters| {
        let (home, remote) = (clusters.home(), clusters.remote());
        let there = agent(remote, "istio-system").await;
        let check = [&["check"], &BOTH[..]].concat();
        let checked = clusters.run(&check).await.succeeded().stdout;
        for warning in [
            "warning[AK1409]: cluster2: Deployment istio-system/prometheus: an admission policy or webhook of the cluster changes it at .spec.template.spec.containers[",
            "warning[AK1409]: cluster2: Service istio-system/prometheus: an admission policy or webhook of the cluster changes it at .spec.externalIPs\n",
        ] {
            assert!(checked.contains(warning), "{warning} in\n{checked}");
        }
        assert!(checked.contains(".volumes[agent]"), "{checked}");
        gone(remote, there).await;

        let here = agent(home, "kiali").await;
        let pod = "changes its pod kiali-operator-";
        let tells = |notes: &[String]| {
            told(
                notes,
                "Deployment kiali/prometheus: an admission",
                &[VOLUMES],
            );
            told(
                notes,
                "Deployment kiali/kiali-operator: an admission",
                &[VOLUMES],
            );
            told(
                notes,
                "Service kiali/prometheus: an admission",
                &[".spec.externalIPs"],
            );
            told(notes, pod, &[".spec.containers[operator].env", "; left so"]);
        };
        tells(&notes(&clusters.install(&[]).await.succeeded()));

        // An install that has nothing to do fights nothing, and tells it again.
        let marks = clusters.marks();
        tells(&notes(&clusters.install(&[]).await.succeeded()));
        unwritten(&marks);
        let status = clusters.run(&["status"]).await.exited(1).stdout;
        for said in [
            "drifted    Deployment kiali/prometheus: changed at .spec.template.spec.",
            "drifted    Deployment kiali/kiali-operator: changed at .spec.template.spec.",
            "drifted    Service kiali/prometheus: changed at .spec.externalIPs\n",
            pod,
        ] {
            assert!(status.contains(said), "{said} in\n{status}");
        }
        let checked = clusters.run(&check).await.succeeded().stdout;
        let warning = "warning[AK1409]: cluster1: Deployment kiali/kiali-operator: ";
        assert!(checked.contains(warning), "{checked}");
        edited(clusters).await;

        gone(home, here).await;
        clusters.installed().await;
        let status = clusters.run(&["status"]).await.succeeded().stdout;
        assert!(!status.contains("admission"), "{status}");
        clusters.cleaned().await;
    });
}

/// What somebody edits beside a policy is undone, and what the policy adds is left.
async fn edited(clusters: &Clusters) {
    let home = clusters.home();
    let before = template(home).await;
    let evil = json!({"name": "evil", "emptyDir": {}});
    let edit = json!({"hostPID": true, "volumes": [evil], "automountServiceAccountToken": true});
    let edit = json!({"spec": {"template": {"spec": edit}}});
    patch(home, DEPLOYMENT.0, DEPLOYMENT.1, DEPLOYMENT.2, &edit).await;
    let status = clusters.run(&["status"]).await.exited(1).stdout;
    let drifted = "drifted    Deployment kiali/prometheus: changed by somebody at ";
    assert!(status.contains(drifted), "{status}");
    let ended = clusters.install(&[]).await.succeeded();
    told(
        &notes(&ended),
        "Deployment kiali/prometheus: an admission",
        &[VOLUMES],
    );
    let said = progress(&ended.stderr);
    for note in [
        "note     Deployment kiali/prometheus had been changed at .spec.template.spec.automountServiceAccountToken by somebody; it is as it was\n",
        "note     Deployment kiali/prometheus was given .spec.template.spec.",
        ".volumes[evil]",
    ] {
        assert!(said.contains(note), "{note} in\n{said}");
    }
    assert_eq!(template(home).await, before);
    assert_eq!(
        before["volumes"].to_string().matches("\"agent\"").count(),
        1
    );
    let marks = clusters.marks();
    clusters.installed().await;
    unwritten(&marks);
}

/// Takes all labels off a Service, also those by which it is known to be ours.
const NAMELESS: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: nameless}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector:
      matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [kiali, default]}]
    resourceRules:
      - {apiGroups: [''], apiVersions: ['*'], operations: [CREATE, UPDATE], resources: [services], resourceNames: [prometheus]}
  matchConditions: [{name: labelled, expression: has(object.metadata.labels)}]
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: '[JSONPatch{op: "remove", path: "/metadata/labels"}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: nameless}
spec: {policyName: nameless}
"#;

/// Adds a finalizer that nobody removes.
const STUCK: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: stuck}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector:
      matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [kiali, default]}]
    resourceRules:
      - {apiGroups: [''], apiVersions: ['*'], operations: [CREATE], resources: [configmaps], resourceNames: [prometheus-config]}
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: '[JSONPatch{op: "add", path: "/metadata/finalizers", value: ["example.com/stays"]}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: stuck}
spec: {policyName: stuck}
"#;

const LABELLED: (&str, &str) = (
    "
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: default, labels: {app: prometheus}}
spec: {ports: [{port: 1}]}
",
    "/metadata/labels",
);
const CONFIG_MAP: (&str, &str) = (
    "
apiVersion: v1
kind: ConfigMap
metadata: {name: prometheus-config, namespace: default}
",
    "/metadata/finalizers",
);

const SERVICE: (&str, &str, &str) = ("v1", "Service", "kiali/prometheus");

async fn service(home: &Cluster) -> Option<Value> {
    get(home, SERVICE.0, SERVICE.1, SERVICE.2).await
}

#[test]
fn attack_19_what_a_policy_makes_nameless_is_still_ours_as_long_as_the_record_names_it() {
    on_two_clusters(async |clusters| {
        let home = clusters.home();
        let policy = Foreign::apply(home, NAMELESS).await;
        until_changed(home, LABELLED, true).await;
        let labels =
            |notes: &[String]| told(notes, "Service kiali/prometheus: ", &[".metadata.labels"]);
        labels(&notes(&clusters.install(&[]).await.succeeded()));
        let live = service(home).await.expect("the Service");
        assert_eq!(live["metadata"]["labels"], Value::Null);
        let marks = clusters.marks();
        labels(&notes(&clusters.install(&[]).await.succeeded()));
        unwritten(&marks);
        let status = clusters.run(&["status"]).await.exited(1).stdout;
        let said = "drifted    Service kiali/prometheus: changed at .metadata.labels\n";
        assert!(status.contains(said), "{status}");
        // An edit beside it is named and undone.
        let edit = json!({"spec": {"ports": [{"port": 9090, "name": "web"}]}});
        patch(home, SERVICE.0, SERVICE.1, SERVICE.2, &edit).await;
        let ended = clusters.install(&[]).await.succeeded();
        let said = "note     Service kiali/prometheus had been changed at .spec.ports[0].name by somebody; it is as it was\n";
        let lines = progress(&ended.stderr);
        assert!(lines.contains(said), "{lines}");
        let live = service(home).await.expect("the Service");
        assert_eq!(live["spec"]["ports"][0]["name"], "http");
        clusters.cleaned().await;

        // Without a record, nothing names the install to which it belongs.
        clusters.installed().await;
        remove(home, "v1", "ConfigMap", "kiali/ambikiali-record").await;
        let left = clusters.run(&["cleanup"]).await.exited(6).stdout;
        let said = "left  cluster1      Namespace kiali: it holds ";
        assert!(left.contains(said), "{left}");
        assert!(left.contains("Service kiali/prometheus"), "{left}");
        policy.removed().await;
        until_changed(home, LABELLED, false).await;
        let ended = clusters.install(&[]).await.exited(9);
        assert_eq!(ended.error(), LEFTOVER);
        assert!(!ended.stderr.contains("record"), "{}", ended.stderr);
        // As the error says.
        remove(home, SERVICE.0, SERVICE.1, SERVICE.2).await;
        clusters.installed().await;
        clusters.cleaned().await;
    });
}

const LEFTOVER: &str = "\
aggregate metrics: cluster1: Service kiali/prometheus already exists, created by an install of ambikiali whose labels it has lost, and differs from what is needed at .metadata.labels; it was not changed
  fix: if no install uses it any more, remove it: kubectl --context cluster1 -n kiali delete service prometheus
";

#[test]
fn attack_19_what_a_policy_makes_undeletable_is_named() {
    on_two_clusters(async |clusters| {
        let home = clusters.home();
        let policy = Foreign::apply(home, STUCK).await;
        until_changed(home, CONFIG_MAP, true).await;
        clusters.installed().await;
        let cleanup = ["cleanup", "--timeout", "30s"];
        let ended = clusters.run(&cleanup).await.exited(6);
        let left = "left  cluster1      ConfigMap kiali/prometheus-config\n";
        assert_eq!(ended.stdout, left);
        let error = ended.error();
        let cause = "finalizers remaining: example.com/stays in 1 resource instances\n";
        assert!(error.contains(cause), "{error}");
        policy.removed().await;
        until_changed(home, CONFIG_MAP, false).await;
        let free = json!({"metadata": {"finalizers": null}});
        merge(home, "v1", "ConfigMap", "kiali/prometheus-config", &free).await;
        clusters.cleaned().await;
    });
}

#[test]
fn attack_19_an_image_of_kiali_that_nobody_told_the_operator_is_named() {
    on_an_install(async |clusters| {
        let home = clusters.home();
        let runs = async |image: &str| {
            let container = json!({"name": "kiali", "image": image});
            let change = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
            patch(home, "apps/v1", "Deployment", "kiali/kiali", &change).await;
        };
        let said = "runs image evil.example/kiali/kiali:v2.29.0, and the operator was told quay.io/kiali/kiali:v2.29.0";
        runs("evil.example/kiali/kiali:v2.29.0").await;
        let status = clusters.run(&["status"]).await.exited(1).stdout;
        let line = format!("drifted    Deployment kiali/kiali: {said}\n");
        assert!(status.contains(&line), "{status}");
        let install = clusters.install(&[]).await.succeeded();
        assert!(install.stderr.contains(said), "{}", install.stderr);
        runs("quay.io/kiali/kiali:v2.29.0").await;
        until("all is as it was", async || {
            clusters.run(&["status"]).await.code == 0
        })
        .await;
    });
}
