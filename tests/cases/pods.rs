//! Pods that a cluster would reject are found before the first write.

use serde_json::{Value, json};

use crate::support::{BOTH, Foreign, get, merge, on_two_clusters, until_refused, unwritten};

const QUOTA: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: compute-resources, namespace: kiali}
spec: {hard: {requests.cpu: '4', requests.memory: 4Gi, limits.cpu: '8', limits.memory: MEMORY}}
";

/// Behaves like OpenShift's restricted-v2.
const SCC: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: scc}
spec:
  failurePolicy: Fail
  matchConstraints:
    namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [kiali, istio-system]}]}
    resourceRules:
    - {apiGroups: [''], apiVersions: ['*'], operations: [CREATE], resources: [pods]}
  validations: [{expression: "!(has(object.spec.securityContext) && has(object.spec.securityContext.runAsUser)) || object.spec.securityContext.runAsUser >= 1000680000", message: "unable to validate against any security context constraint: .spec.securityContext.runAsUser: Invalid value: must be in the ranges: [1000680000, 1000689999]"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: scc}
spec: {policyName: scc, validationActions: [Deny]}
"#;
const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: try, namespace: kiali}
spec:
  securityContext: {runAsUser: 65534}
  containers: [{name: a, image: a}]
";

/// The annotation of every namespace in OpenShift.
const USERS: &str = "openshift.io/sa.scc.uid-range";

fn check() -> Vec<&'static str> {
    [&["check"], &BOTH[..]].concat()
}

#[test]
fn case_26_a_quota_on_limits_is_met_and_one_that_is_too_small_is_told_before_the_first_write() {
    on_two_clusters(async |clusters| {
        let home = clusters.home();
        let small = Foreign::apply(home, &QUOTA.replace("MEMORY", "512Mi")).await;
        let marks = clusters.marks();
        let ended = clusters.install(&[]).await.exited(3);
        unwritten(&marks);
        let error = ended.error();
        let said = "cluster1: Deployment kiali/kiali-operator: its pod is refused: pods \"kiali-operator-dry-run\" is forbidden: exceeded quota: compute-resources, requested: limits.memory=1Gi, used: limits.memory=0, limited: limits.memory=512Mi\n  fix: kubectl --context cluster1 -n kiali describe quota\n";
        assert!(error.contains(said), "{error}");
        small.removed().await;
        let quota = Foreign::apply(home, &QUOTA.replace("MEMORY", "8Gi")).await;
        clusters.run(&check()).await.succeeded();
        clusters.installed().await;
        clusters.cleaned().await;
        quota.removed().await;
    });
}

#[test]
fn case_26_where_the_platform_gives_pods_their_user_the_templates_name_none() {
    on_two_clusters(async |clusters| {
        let home = clusters.home();
        let foreign = Foreign::apply(home, SCC).await;
        until_refused(home, POD, true).await;
        let marks = clusters.marks();
        let ended = clusters.install(&[]).await.exited(3);
        unwritten(&marks);
        let error = ended.error();
        for name in ["istio-system/prometheus", "kiali/prometheus"] {
            let said = format!(
                "cluster1: Deployment {name}: its pod is refused: pods \"prometheus-dry-run\" is forbidden: ValidatingAdmissionPolicy 'scc' with binding 'scc' denied request: unable to validate against any security context constraint"
            );
            assert!(error.contains(&said), "{error}");
        }
        let fix = "fix: kubectl --context cluster1 get validatingadmissionpolicy scc -o yaml\n";
        assert!(error.contains(fix), "{error}");
        let mark = |value: Value| json!({"metadata": {"annotations": {USERS: value}}});
        let range = mark(json!("1000680000/10000"));
        merge(home, "v1", "Namespace", "kube-system", &range).await;
        clusters.run(&check()).await.succeeded();
        clusters.installed().await;
        for (cluster, named) in [(home, Value::Null), (clusters.remote(), json!(65534))] {
            let live = get(cluster, "apps/v1", "Deployment", "istio-system/prometheus").await;
            let context =
                &live.expect("a Deployment")["spec"]["template"]["spec"]["securityContext"];
            for field in ["runAsUser", "runAsGroup", "fsGroup"] {
                assert_eq!(
                    context.get(field).unwrap_or(&Value::Null),
                    &named,
                    "{field}"
                );
            }
            assert_eq!(context["runAsNonRoot"], true);
        }
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        clusters.cleaned().await;
        merge(home, "v1", "Namespace", "kube-system", &mark(Value::Null)).await;
        foreign.removed().await;
    });
}

/// The limits come from a LimitRange of the namespace.
#[test]
fn case_26_limits_of_a_namespace_are_told_with_what_shows_them() {
    const LIMITS: &str = "
apiVersion: v1
kind: LimitRange
metadata: {name: small, namespace: istio-system}
spec: {limits: [{type: Pod, max: {cpu: 500m}}]}
";
    on_two_clusters(async |clusters| {
        let foreign = Foreign::apply(clusters.remote(), LIMITS).await;
        let ended = clusters.run(&check()).await.exited(3);
        let said = "error[AK1408]: cluster2: Deployment istio-system/prometheus: its pod is refused: pods \"prometheus-dry-run\" is forbidden: maximum cpu usage per Pod is 500m, but limit is 2\n  fix: kubectl --context cluster2 -n istio-system describe limitranges\n";
        assert!(ended.stdout.contains(said), "{ended:#?}");
        foreign.removed().await;
    });
}
