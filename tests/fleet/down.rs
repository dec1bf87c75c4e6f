//! `install --keep-going` leaves out a remote that fails, and the next install that reaches it adds it.

use ambikiali_sandbox::audit::{Mark, Request};
use serde_json::json;

use super::{THREE, TWO, install};
use crate::support::{Ended, Fleet, Foreign, masked, patch, until_refused};

/// Prevents the third cluster from being exposed.
const POLICY: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-routes}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [gateway.networking.k8s.io]
        apiVersions: [v1]
        operations: [CREATE]
        resources: [httproutes]
  validations:
    - expression: "false"
      message: routes are made by the network team
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-routes}
spec: {policyName: no-routes, validationActions: [Deny]}
"#;
const ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: try, namespace: default}
spec: {parentRefs: [{name: nobody}]}
";

fn keep_going() -> Vec<&'static str> {
    [&install(&THREE)[..], &["--keep-going"]].concat()
}

/// Returns the objects that ambikiali wrote in a cluster since the mark, without duplicates.
fn written(mark: &Mark) -> Vec<String> {
    let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
    let name = |r: &Request| format!("{} {}/{}", r.verb, r.resource, r.name);
    let mut names = writes.iter().map(name).collect::<Vec<_>>();
    names.sort();
    names.dedup();
    names
}

fn mark(fleet: &Fleet, cluster: &str) -> Mark {
    Mark::now(fleet.sandbox.cluster(cluster)).expect("an audit log")
}

#[track_caller]
fn sees_two(ended: &Ended) {
    let said = "Kiali in cluster1 sees cluster1, cluster2\n";
    assert!(ended.stdout.contains(said), "{ended:#?}");
}

/// A remote is unreachable before its first install. The others are unaffected.
pub async fn left_out(fleet: &Fleet) {
    let marks = ["cluster1", "cluster2"].map(|name| mark(fleet, name));
    let refused = fleet.run_without("cluster3", &install(&THREE)).await;
    let cause = "\
[AK1001] context cluster3 at https://127.0.0.1:PORT: Connection refused
  fix: kubectl --context cluster3 version
";
    assert_eq!(refused.exited(8).error(), cause);
    let ended = fleet.run_without("cluster3", &keep_going()).await.exited(6);
    sees_two(&ended);
    let said = format!("left out: cluster3: {}", &cause["[AK1001] ".len()..]);
    assert!(masked(&ended.stderr).ends_with(&said), "{}", ended.stderr);
    for mark in &marks {
        assert_eq!(written(mark), [""; 0]);
    }
    let two = ["verify", "--ctx1", TWO[0], "--ctx2", TWO[1]];
    fleet.run(&two).await.succeeded();
}

/// A remote is reachable but has no istiod, and thus no name.
pub async fn without_istiod(fleet: &Fleet) {
    let third = fleet.sandbox.cluster("cluster3");
    let istiod = |app: &str| json!({"metadata": {"labels": {"app": app}}});
    let (version, kind, name) = ("apps/v1", "Deployment", "istio-system/istiod");
    patch(third, version, kind, name, &istiod("another")).await;
    let marks = THREE.map(|name| mark(fleet, name));
    let refused = fleet.run(&install(&THREE)).await.exited(3).error();
    assert!(refused.starts_with("[AK1201] context cluster3: no Deployment "));
    let ended = fleet.run(&keep_going()).await.exited(6);
    sees_two(&ended);
    let said = "left out: cluster3: context cluster3: no Deployment with label app=istiod ";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    for mark in &marks {
        assert_eq!(written(mark), [""; 0]);
    }
    patch(third, version, kind, name, &istiod("istiod")).await;
}

/// A remote has a finding. If the finding is skipped, it fails halfway.
pub async fn refused_on_its_way(fleet: &Fleet) {
    let third = fleet.sandbox.cluster("cluster3");
    let policy = Foreign::apply(third, POLICY).await;
    until_refused(third, ROUTE, true).await;
    let home = mark(fleet, "cluster1");
    let before = mark(fleet, "cluster3");
    let ended = fleet.run(&keep_going()).await.exited(6);
    sees_two(&ended);
    let said = "left out: cluster3: cluster3: HTTPRoute istio-system/prometheus: ";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert_eq!(written(&before), [""; 0]);
    let in_spite = [&keep_going()[..], &["--skip-check", "AK1408"]].concat();
    let ended = fleet.run(&in_spite).await.exited(6);
    sees_two(&ended);
    let said =
        "left out: cluster3: expose prometheus: cluster3: HTTPRoute istio-system/prometheus: ";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    // Home records the remote, because it has objects now.
    assert_eq!(written(&home), ["patch configmaps/ambikiali-record"]);
    policy.removed().await;
    until_refused(third, ROUTE, false).await;
}

/// The remote is fixed. It is added to Kiali, and nothing else is written.
pub async fn added(fleet: &Fleet) {
    let home = mark(fleet, "cluster1");
    let ended = fleet.run(&install(&THREE)).await.succeeded();
    let said = "Kiali in cluster1 sees cluster1, cluster2, cluster3\n";
    assert!(ended.stdout.contains(said), "{ended:#?}");
    let follows = [
        "patch configmaps/ambikiali-record",
        "patch configmaps/prometheus-config",
        "patch deployments/prometheus",
        "patch secrets/kiali-multi-cluster-secret",
        "patch secrets/prometheus-tls",
    ];
    assert_eq!(written(&home), follows);
}

/// An installed remote becomes unreachable and returns. Kiali must be able to start without it.
pub async fn gone_for_a_while(fleet: &Fleet) {
    let third = mark(fleet, "cluster3");
    let ended = fleet.run_without("cluster3", &keep_going()).await.exited(6);
    sees_two(&ended);
    assert_eq!(written(&third), [""; 0]);
    added(fleet).await;
    assert_eq!(written(&third), [""; 0]);
    fleet.run(&["verify"]).await.succeeded();
}
