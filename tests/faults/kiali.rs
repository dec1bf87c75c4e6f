//! Errors of the operator, a Kiali that does not start, and conflicting foreign objects.

use serde_json::json;

use crate::support::{
    Foreign, INSTALL, dead_remote, get, on_an_install, on_two_clusters, patch, to_an_install,
    until, unwritten,
};

const BINDING: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kiali}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: kiali, namespace: istio-system}]
";

const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: prometheus-gateway, namespace: istio-system}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 8080, protocol: HTTP}]
";

/// Removes the random parts of a pod's name and its UID.
fn nameless(error: &str) -> String {
    let pod = error.split_once("cannot start: pod ").expect("a pod").1;
    let pod = pod.split_once(':').expect("a reason").0;
    let error = error.replace(pod, "POD");
    match error.split_once("pod=POD_kiali(") {
        Some((before, after)) => {
            let after = after.split_once(')').expect("a uid").1;
            format!("{before}pod=POD{after}")
        }
        None => error,
    }
}

#[test]
fn fault_40_what_the_operator_refuses_is_told_at_once_with_how_far_it_came() {
    to_an_install(async |clusters| {
        for (cluster, step) in [
            (clusters.home(), "kiali"),
            (clusters.remote(), "remote cluster"),
        ] {
            let foreign = Foreign::apply(cluster, BINDING).await;
            let ended = clusters.install(&[]).await.exited(1);
            let name = cluster.name();
            assert_eq!(
                ended.error(),
                format!(
                    "\
{step}: {name}: Kiali kiali/kiali failed: There is already a Kiali Server installed with `deployment.instance_name` of [kiali] that has 'deployment.cluster_wide_access' set to true. You must use a different instance name. (after \"1. Initializing\")
  fix: kubectl --context {name} -n kiali logs deployment/kiali-operator --tail=50
"
                )
            );
            if step == "remote cluster" {
                let secret = "kiali/kiali-multi-cluster-secret";
                assert_eq!(get(clusters.home(), "v1", "Secret", secret).await, None);
            }
            foreign.removed().await;
            clusters.installed().await;
            if step == "kiali" {
                clusters.cleaned().await;
            }
        }
    });
}

#[test]
fn a_gateway_of_somebody_else_under_our_name_is_left_as_it_is_and_its_maker_named() {
    on_two_clusters(async |clusters| {
        let foreign = Foreign::apply(clusters.remote(), GATEWAY).await;
        let gateway = (
            "gateway.networking.k8s.io/v1",
            "Gateway",
            "istio-system/prometheus-gateway",
        );
        let spec = async || {
            let live = get(clusters.remote(), gateway.0, gateway.1, gateway.2).await;
            let live = live.expect("the Gateway");
            (live["metadata"]["uid"].clone(), live["spec"].clone())
        };
        let before = spec().await;
        let marks = clusters.marks();
        let ended = clusters.install(&[]).await.exited(3);
        unwritten(&marks);
        assert_eq!(
            ended.error(),
            "\
[AK1401] cluster2: Gateway istio-system/prometheus-gateway: already exists, created by somebody, and differs from what is needed at .spec.listeners[0].name
  fix: inspect it: kubectl --context cluster2 -n istio-system get gateway prometheus-gateway -o yaml --show-managed-fields; to take over these fields, add --force-conflicts to install
nothing was written
"
        );
        assert_eq!(spec().await, before);
        foreign.removed().await;
        until("what istiod made for it is collected", async || {
            let name = "istio-system/prometheus-gateway-istio";
            let made = get(clusters.remote(), "apps/v1", "Deployment", name).await;
            made.is_none()
        })
        .await;
    });
}

#[test]
fn a_kiali_that_crashes_ends_the_wait_at_once_with_its_last_words() {
    on_two_clusters(async |clusters| {
        let foreign = Foreign::apply(clusters.home(), &dead_remote()).await;
        let ended = clusters.install(&[]).await.exited(1);
        assert_eq!(
            nameless(&ended.error()),
            "\
kiali: cluster1: Deployment kiali/kiali cannot start: pod POD: container kiali: CrashLoopBackOff back-off TIME restarting failed container=kiali pod=POD; its last log line: FTL failed to determine if *v1.Pod is namespaced: failed to get restmapping: failed to get server groups: Get \"https://127.0.0.1:1/api\": dial tcp 127.0.0.1:1: connect: Connection refused (os error 111)
  fix: kubectl --context cluster1 -n kiali describe pods -l app.kubernetes.io/name=kiali,app.kubernetes.io/instance=kiali
"
        );
        clusters.cleaned().await;
        foreign.removed().await;
    });
}

/// Step, namespace, Deployment and pod labels. None of them can be scheduled, and the error names whichever is first.
const UNSCHEDULABLE: [[&str; 4]; 3] = [
    [
        "cluster prometheus",
        "istio-system",
        "prometheus",
        "app.kubernetes.io/name=prometheus,app.kubernetes.io/instance=prometheus,app.kubernetes.io/component=server",
    ],
    [
        "expose prometheus",
        "istio-system",
        "prometheus-gateway-istio",
        "gateway.networking.k8s.io/gateway-name=prometheus-gateway",
    ],
    [
        "kiali",
        "kiali",
        "kiali-operator",
        "app.kubernetes.io/name=kiali-operator",
    ],
];

fn unschedulable([step, namespace, deployment, labels]: [&str; 4]) -> String {
    format!(
        "\
{step}: cluster1: Deployment {namespace}/{deployment} cannot start: pod POD: unschedulable: 0/1 nodes are available: 1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.
  fix: kubectl --context cluster1 -n {namespace} describe pods -l {labels}
"
    )
}

#[test]
fn a_pod_that_no_node_takes_ends_the_wait_at_once_with_the_schedulers_words() {
    to_an_install(async |clusters| {
        let cordon = async |on: bool| {
            let spec = json!({"spec": {"unschedulable": on}});
            patch(clusters.home(), "v1", "Node", "cluster1-node", &spec).await;
        };
        cordon(true).await;
        let ended = clusters.install(&[]).await.exited(1);
        cordon(false).await;
        let error = nameless(&ended.error());
        assert!(UNSCHEDULABLE.map(unschedulable).contains(&error), "{error}");
        clusters.installed().await;
    });
}

/// Blocks the port-forward to istiod's port 8080 through the remote's API server, which Kiali uses.
const NO_FORWARD: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-forward}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - {apiGroups: [''], apiVersions: ['*'], operations: [CONNECT], resources: [pods/portforward]}
  validations:
    - {expression: '!request.name.startsWith(\"istiod\")', message: no way to istiod}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-forward}
spec: {policyName: no-forward, validationActions: [Deny]}
";

#[test]
fn fault_57_an_istiod_that_kiali_cannot_reach_is_no_success() {
    on_an_install(async |clusters| {
        let foreign = Foreign::apply(clusters.remote(), NO_FORWARD).await;
        let said = "it says of istiod in cluster2: Unreachable; it asks istiod's port 8080 through that cluster's API server, as pods/portforward";
        let broken = format!("broken    kiali          cluster1      {said}\n");
        until("Kiali asked istiod once more", async || {
            let verify = ["verify", "--probes", "none"];
            clusters.run(&verify).await.stdout.contains(&broken)
        })
        .await;
        let install = [&INSTALL[..6], &["--timeout", "90s"]].concat();
        let error = clusters.run(&install).await.exited(4).error();
        assert!(
            error.starts_with(&format!("kiali: cluster1: Kiali runs, but {said}\n")),
            "{error}"
        );
        foreign.removed().await;
        until("Kiali reaches it again", async || {
            let verify = ["verify", "--probes", "none"];
            clusters.run(&verify).await.code == 0
        })
        .await;
        clusters.installed().await;
    });
}
