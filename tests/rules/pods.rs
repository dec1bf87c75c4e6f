//! Rows 32 and 33: objects that are accepted although their pods are rejected.

use ambikiali_sandbox::Cluster;
use ambikiali_sandbox::fault::{Action, Answer, Verb, When};
use serde_json::{Value, json};

use crate::answers::behind::Behind;
use crate::support::{Foreign, get, on_two_clusters, patch, remove, until, unwritten};

const NO_PODS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: few, namespace: kiali}
spec: {hard: {pods: '0'}}
";

/// Our Prometheus requests more than this, and the pod of the Gateway less.
const SMALL: &str = "
apiVersion: v1
kind: LimitRange
metadata: {name: small, namespace: istio-system}
spec: {limits: [{type: Container, max: {memory: 2Gi}}]}
";

const GATEWAY: (&str, &str, &str) = (
    "gateway.networking.k8s.io/v1",
    "Gateway",
    "istio-system/prometheus-gateway",
);

const RESTRICTED: &str = "
apiVersion: v1
kind: Namespace
metadata:
  name: kiali
  labels: {pod-security.kubernetes.io/enforce: restricted}
";

/// Without this flag, the check would stop the install.
const IN_SPITE: [&str; 2] = ["--skip-check", "AK1408"];

/// Returns the response of an API server to a conflict on a quota.
fn quota_race() -> Action {
    let name = "few";
    let message = format!(
        "Operation cannot be fulfilled on resourcequotas \"{name}\": the object has been modified; please apply your changes to the latest version and try again"
    );
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "Conflict", "code": 409,
        "details": {"name": name, "kind": "resourcequotas"},
    });
    Action::Answer(Answer {
        code: 409,
        content_type: "application/json",
        retry_after: None,
        body: status.to_string(),
    })
}

/// Removes the random suffix of a pod's name.
fn nameless(error: &str, deployment: &str) -> String {
    let quoted = format!("\"{deployment}-");
    let (before, rest) = error
        .split_once(&quoted)
        .unwrap_or_else(|| panic!("no pod in {error}"));
    let (random, after) = rest.split_once('"').expect("a name");
    assert_eq!(random.split('-').count(), 2, "{random}");
    format!("{before}\"{deployment}\"{after}")
}

/// Sets the Pod Security level of Istio's namespace.
async fn enforce(cluster: &Cluster, level: Value) {
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}});
    patch(cluster, "v1", "Namespace", "istio-system", &label).await;
}

#[test]
fn fault_32_a_quota_without_room_is_told_at_once_and_a_lost_race_for_one_is_run_again() {
    on_two_clusters(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let foreign = Foreign::apply(clusters.remote(), NO_PODS).await;
        // The check finds it with a dry-run pod.
        let marks = clusters.marks();
        let ended = behind.install("90s").await.exited(3);
        unwritten(&marks);
        assert_eq!(
            ended.error(),
            "\
[AK1408] cluster2: Deployment kiali/kiali-operator: its pod is refused: pods \"kiali-operator-dry-run\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0
  fix: kubectl --context cluster2 -n kiali describe quota
nothing was written
"
        );
        let ended = clusters.install(&IN_SPITE).await.exited(1);
        assert_eq!(
            nameless(&ended.error(), "kiali-operator"),
            "\
remote cluster: cluster2: Deployment kiali/kiali-operator failed: pods \"kiali-operator\" is forbidden: exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0
  fix: kubectl --context cluster2 -n kiali describe replicasets -l app.kubernetes.io/name=kiali-operator
"
        );
        let room = json!({"spec": {"hard": {"pods": "9"}}});
        patch(clusters.remote(), "v1", "ResourceQuota", "kiali/few", &room).await;
        behind.both(Verb::WRITES, When::FirstOfEach, quota_race());
        behind.install("180s").await.succeeded();
        behind.disturbed(Verb::Write);
        behind.converged().await;
        behind.cleanup().await.succeeded();
        foreign.removed().await;
    });
}

#[test]
fn fault_33_our_pods_are_restricted_ones_and_what_refuses_a_pod_is_told_at_once() {
    on_two_clusters(async |clusters| {
        let remote = clusters.remote();
        let mut foreign = Vec::new();
        for cluster in clusters.sandbox.clusters() {
            foreign.push(Foreign::apply(cluster, RESTRICTED).await);
        }
        let small = Foreign::apply(remote, SMALL).await;
        let marks = clusters.marks();
        let ended = clusters.install(&[]).await.exited(3);
        unwritten(&marks);
        assert_eq!(
            ended.error(),
            "\
[AK1408] cluster2: Deployment istio-system/prometheus: its pod is refused: pods \"prometheus-dry-run\" is forbidden: maximum memory usage per Container is 2Gi, but limit is 4Gi
  fix: kubectl --context cluster2 -n istio-system describe limitranges
nothing was written
"
        );
        let ended = clusters.install(&IN_SPITE).await.exited(1);
        assert_eq!(
            nameless(&ended.error(), "prometheus"),
            "\
cluster prometheus: cluster2: Deployment istio-system/prometheus failed: pods \"prometheus\" is forbidden: maximum memory usage per Container is 2Gi, but limit is 4Gi
  fix: kubectl --context cluster2 -n istio-system describe replicasets -l app.kubernetes.io/name=prometheus,app.kubernetes.io/instance=prometheus,app.kubernetes.io/component=server
"
        );
        small.removed().await;
        // The Deployment that Istio creates for a Gateway has no seccomp profile.
        remove(remote, GATEWAY.0, GATEWAY.1, GATEWAY.2).await;
        let made = "istio-system/prometheus-gateway-istio";
        until("what istiod made for it is collected", async || {
            get(remote, "apps/v1", "Deployment", made).await.is_none()
        })
        .await;
        enforce(remote, json!("restricted")).await;
        let ended = clusters.install(&[]).await.exited(3);
        assert_eq!(
            ended.error(),
            "\
[AK1403] cluster2: Namespace istio-system: enforces pod security level restricted, which the Gateway's pod does not meet
  fix: kubectl --context cluster2 label --overwrite namespace istio-system pod-security.kubernetes.io/enforce=baseline
nothing was written
"
        );
        enforce(remote, Value::Null).await;
        clusters.installed().await;
        clusters.cleaned().await;
        for foreign in foreign {
            foreign.removed().await;
        }
    });
}
