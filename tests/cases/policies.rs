//! Policies of the mesh that would block the metrics are reported.

use serde_json::{Value, json};

use crate::support::{BOTH, Foreign, masked, on_two_clusters, until};

const DENY: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-all, namespace: istio-system}
spec: {}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: istio-system}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";
const OWN: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: kiali}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
";

fn check() -> Vec<&'static str> {
    [&["check"], &BOTH[..]].concat()
}

#[test]
fn case_27_policies_that_will_block_are_warnings_with_what_to_look_at() {
    on_two_clusters(async |clusters| {
        let mut foreign = Vec::new();
        for cluster in clusters.sandbox.clusters() {
            foreign.push(Foreign::apply(cluster, DENY).await);
        }
        foreign.push(Foreign::apply(clusters.home(), OWN).await);
        let ended = clusters.run(&check()).await.succeeded();
        for name in ["cluster1", "cluster2"] {
            for said in [
                format!(
                    "warning[AK1216]: {name}: AuthorizationPolicy istio-system/deny-all: lets nobody without an identity in the mesh reach the Gateway in front of Prometheus\n  fix: kubectl --context {name} -n istio-system get authorizationpolicy deny-all -o yaml\n"
                ),
                format!(
                    "warning[AK1217]: {name}: NetworkPolicy istio-system/default-deny: allows nothing to the Gateway in front of Prometheus, nothing from the Gateway in front of Prometheus, nothing to Prometheus, nothing from Prometheus\n  fix: kubectl --context {name} -n istio-system describe networkpolicy default-deny\n"
                ),
            ] {
                assert!(ended.stdout.contains(&said), "{said}\n{ended:#?}");
            }
        }
        let said = "warning[AK1217]: cluster1: NetworkPolicy kiali/closed: allows nothing to the federating Prometheus, nothing from the federating Prometheus, nothing from Kiali, nothing from the Kiali operator\n";
        assert!(ended.stdout.contains(said), "{ended:#?}");
        assert!(
            ended.stdout.ends_with("Ready to install: 5 warnings\n"),
            "{ended:#?}"
        );
        let strict = [&check()[..], &["--strict"]].concat();
        clusters.run(&strict).await.exited(3);
        for foreign in foreign.into_iter().rev() {
            foreign.removed().await;
        }
    });
}

/// Returns a policy for all pods in the namespace of the Gateway.
fn closed(spec: &Value) -> Value {
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "closed", "namespace": "istio-system"}, "spec": spec,
    })
}

#[test]
fn case_27_a_target_that_answers_403_is_told_with_the_policy() {
    on_two_clusters(async |clusters| {
        let policy = closed(&json!({})).to_string();
        let policy = Foreign::apply(clusters.remote(), &policy).await;
        let ended = clusters.install(&[]).await.exited(4);
        let said = masked(&ended.stderr);
        let error = "\
error: aggregate metrics: cluster2: its Prometheus is not scraped: http://ADDRESS:9090/federate is down: server returned HTTP status 403 Forbidden
  fix: look at the whole way there: ambikiali verify
";
        assert!(said.contains(error), "{said}");
        policy.removed().await;
        clusters.installed().await;
        for (spec, what) in [
            (
                json!({}),
                "lets nobody without an identity in the mesh reach the Gateway in front of Prometheus",
            ),
            (
                json!({"action": "DENY", "rules": [{}]}),
                "denies every request to the Gateway in front of Prometheus",
            ),
        ] {
            let policy = closed(&spec).to_string();
            let policy = Foreign::apply(clusters.remote(), &policy).await;
            let verify = ["verify", "--traffic", "none"];
            until("the Gateway denies", async || {
                let ended = clusters.run(&verify).await;
                let said = format!(
                    "http://ADDRESS:9090/federate is down: server returned HTTP status 403 Forbidden; AuthorizationPolicy istio-system/closed {what}: ambikiali explain AK1216\n"
                );
                masked(&ended.stdout).contains(&said)
            })
            .await;
            policy.removed().await;
        }
        until("the target is up again", async || {
            clusters.run(&["verify", "--traffic", "none"]).await.code == 0
        })
        .await;
        clusters.cleaned().await;
    });
}
