//! Policies of the mesh that would block the metrics are reported.

use ambikiali_sandbox::Cluster;
use serde_json::{Value, json};

use crate::support::{BOTH, Foreign, get, masked, on_two_clusters, until, unwritten};

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

const FLAG: &str = "--network-policies";

/// The NetworkPolicies of the install: namespace and name.
async fn policies(cluster: &Cluster) -> Vec<String> {
    let mut named = Vec::new();
    for name in [
        "istio-system/ambikiali-gateway",
        "istio-system/ambikiali-prometheus",
        "kiali/ambikiali-kiali",
        "kiali/ambikiali-operator",
        "kiali/ambikiali-prometheus",
    ] {
        if get(cluster, "networking.k8s.io/v1", "NetworkPolicy", name)
            .await
            .is_some()
        {
            named.push(name.to_string());
        }
    }
    named
}

#[test]
fn network_policies_allow_what_an_install_needs_where_all_is_denied_and_go_with_the_option() {
    on_two_clusters(async |clusters| {
        let mut foreign = Vec::new();
        let (_, network) = DENY.split_at(DENY.rfind("apiVersion").expect("a policy"));
        for cluster in clusters.sandbox.clusters() {
            foreign.push(Foreign::apply(cluster, network).await);
            foreign.push(Foreign::apply(cluster, OWN).await);
        }
        let denied = clusters.run(&check()).await.succeeded();
        assert!(denied.stdout.contains("AK1217"), "{denied:#?}");
        let allowed = clusters
            .run(&[&check()[..], &[FLAG]].concat())
            .await
            .succeeded();
        assert!(!allowed.stdout.contains("AK1217"), "{allowed:#?}");

        clusters.install(&[FLAG]).await.succeeded();
        let (home, remote) = (clusters.home(), clusters.remote());
        let of_the_mesh = [
            "istio-system/ambikiali-gateway",
            "istio-system/ambikiali-prometheus",
        ];
        let own = [
            "kiali/ambikiali-kiali",
            "kiali/ambikiali-operator",
            "kiali/ambikiali-prometheus",
        ];
        assert_eq!(policies(home).await, [&of_the_mesh[..], &own].concat());
        assert_eq!(
            policies(remote).await,
            [&of_the_mesh[..], &own[1..2]].concat()
        );
        let prometheus = get(home, "networking.k8s.io/v1", "NetworkPolicy", own[2]).await;
        let kiali =
            json!({"app.kubernetes.io/name": "kiali", "app.kubernetes.io/instance": "kiali"});
        assert_eq!(
            prometheus.expect("a policy")["spec"]["ingress"],
            json!([
                {
                    "from": [{"podSelector": {"matchLabels": kiali}}],
                    "ports": [{"port": 9090, "protocol": "TCP"}, {"port": 15008, "protocol": "TCP"}],
                },
                {
                    "from": [
                        {"ipBlock": {"cidr": "169.254.7.127/32"}},
                        {"ipBlock": {"cidr": "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"}},
                    ],
                    "ports": [{"port": 9090, "protocol": "TCP"}],
                },
            ])
        );
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        let checked = clusters.run(&check()).await.succeeded();
        assert!(!checked.stdout.contains("AK1217"), "{checked:#?}");

        clusters
            .install(&["--network-policies=false"])
            .await
            .succeeded();
        for cluster in clusters.sandbox.clusters() {
            assert_eq!(policies(cluster).await, [""; 0]);
        }
        clusters.install(&[FLAG]).await.succeeded();
        clusters.run(&["cleanup"]).await.succeeded();
        for cluster in clusters.sandbox.clusters() {
            assert_eq!(policies(cluster).await, [""; 0]);
            for name in ["istio-system/default-deny", "kiali/closed"] {
                let stays = get(cluster, "networking.k8s.io/v1", "NetworkPolicy", name).await;
                assert!(stays.is_some(), "{name}");
            }
        }
        for one in foreign.into_iter().rev() {
            one.removed().await;
        }
    });
}

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
error: aggregate metrics: cluster2: its Prometheus is not scraped: https://ADDRESS:9090/federate is down: server returned HTTP status 403 Forbidden
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
            let verify = ["verify", "--probes", "none"];
            until("the Gateway denies", async || {
                let ended = clusters.run(&verify).await;
                let said = format!(
                    "https://ADDRESS:9090/federate is down: server returned HTTP status 403 Forbidden; AuthorizationPolicy istio-system/closed {what}: ambikiali explain AK1216\n"
                );
                masked(&ended.stdout).contains(&said)
            })
            .await;
            policy.removed().await;
        }
        until("the target is up again", async || {
            clusters.run(&["verify", "--probes", "none"]).await.code == 0
        })
        .await;
        clusters.cleaned().await;
    });
}
