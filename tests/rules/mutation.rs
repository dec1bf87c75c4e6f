//! Row 27: a cluster that mutates our objects.

use ambikiali_sandbox::Cluster;
use serde_json::Value;

use crate::support::{Ended, Foreign, get, masked, to_an_install, until_changed};

/// Mutates one field of a Deployment and one of a plain object.
const POLICY: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: slower-kiali}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules:
      - {apiGroups: [kiali.io], apiVersions: ['*'], operations: [CREATE, UPDATE], resources: [kialis]}
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: '[JSONPatch{op: "replace", path: "/spec/deployment/probes/startup/period_seconds", value: 3}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: slower-kiali}
spec: {policyName: slower-kiali}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: other-names}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector:
      matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [kiali, default]}]
    resourceRules:
      - {apiGroups: [''], apiVersions: ['*'], operations: [CREATE, UPDATE], resources: [services], resourceNames: [prometheus]}
  mutations:
    - patchType: JSONPatch
      jsonPatch:
        expression: '[JSONPatch{op: "replace", path: "/metadata/labels/app", value: "theirs"}]'
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: other-names}
spec: {policyName: other-names}
"#;

/// A Service of no one, to see whether the policies are in force.
const SERVICE: (&str, &str) = (
    "
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: default, labels: {app: prometheus}}
spec: {ports: [{port: 1}]}
",
    "/metadata/labels/app",
);
const KIALI: (&str, &str) = (
    "
apiVersion: kiali.io/v1alpha1
kind: Kiali
metadata: {name: try, namespace: default}
spec: {deployment: {probes: {startup: {period_seconds: 2}}}}
",
    "/spec/deployment/probes/startup/period_seconds",
);

const NOTES: &str = "\
cluster1      aggregate metrics   note     Service kiali/prometheus: an admission policy or webhook of the cluster changes .metadata.labels.app; left so
cluster1      kiali               note     Kiali kiali/kiali: an admission policy or webhook of the cluster changes .spec.deployment.probes.startup.period_seconds; left so
";

/// After the policies are removed.
const MENDED: &str = "\
cluster1      aggregate metrics   note     Service kiali/prometheus had been changed at .metadata.labels.app; it is as it was
cluster1      kiali               note     Kiali kiali/kiali had been changed at .spec.deployment.probes.startup.period_seconds; it is as it was
";

fn notes(ended: &Ended) -> String {
    let lines = ended
        .stderr
        .lines()
        .filter(|line| line.contains("  note  "));
    let mut lines = lines.map(|l| masked(&l[7..])).collect::<Vec<_>>();
    lines.sort();
    lines.concat()
}

async fn kiali(home: &Cluster) -> Value {
    let kiali = get(home, "kiali.io/v1alpha1", "Kiali", "kiali/kiali").await;
    kiali.expect("a Kiali")
}

#[test]
fn fault_27_fields_that_the_cluster_changes_are_told_and_not_fought() {
    to_an_install(async |clusters| {
        let home = clusters.home();
        let foreign = Foreign::apply(home, POLICY).await;
        until_changed(home, SERVICE, true).await;
        let first = clusters.install(&[]).await.succeeded();
        assert_eq!(notes(&first), NOTES);
        let before = kiali(home).await;
        let startup = &before["spec"]["deployment"]["probes"]["startup"];
        assert_eq!(startup["period_seconds"], 3);

        let [mark, other] = clusters.marks();
        let second = clusters.install(&[]).await.succeeded();
        assert_eq!(notes(&second), NOTES);
        let writes = |mark: &ambikiali_sandbox::audit::Mark| {
            let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
            let mut names = writes.iter().map(|w| format!("{} {}", w.verb, w.resource));
            let mut names = names.by_ref().collect::<Vec<_>>();
            names.sort();
            names
        };
        assert_eq!([writes(&mark), writes(&other)], [[""; 0]; 2]);
        assert_eq!(kiali(home).await["spec"], before["spec"]);

        foreign.removed().await;
        until_changed(home, SERVICE, false).await;
        until_changed(home, KIALI, false).await;
        let mended = clusters.install(&[]).await.succeeded();
        assert_eq!(notes(&mended), MENDED);
        let [mark, _] = clusters.marks();
        clusters.installed().await;
        assert!(writes(&mark).is_empty());
    });
}
