//! The rights of the Kiali server of this version. The operator may only grant what it holds.

use serde_json::{Value, json};

const READ: [&str; 3] = ["get", "list", "watch"];
const PATCH: [&str; 4] = ["get", "list", "watch", "patch"];
const CHANGE: [&str; 5] = ["get", "list", "watch", "delete", "patch"];
const WRITE: [&str; 6] = ["get", "list", "watch", "create", "delete", "patch"];

/// No Secrets on any cluster, and no `udproutes` before 2.30.
pub(super) fn rules(viewer: bool) -> Value {
    let verbs = |verbs: &'static [&'static str]| if viewer { &READ } else { verbs };
    let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
    let istio = [
        "networking.istio.io",
        "security.istio.io",
        "extensions.istio.io",
        "telemetry.istio.io",
        "inference.networking.k8s.io",
    ];
    let gateway = ["gateway.networking.k8s.io"];
    let routes = ["gateways", "grpcroutes", "httproutes", "referencegrants"];
    // The viewer's template has one rule for all of the mesh, the writer's names the kinds of Gateway API.
    let mesh = match viewer {
        true => vec![rule(&[&istio[..], &gateway[..]].concat(), &["*"], &READ)],
        false => vec![
            rule(&istio, &["*"], &WRITE),
            rule(&gateway, &routes, &WRITE),
            rule(&gateway, &["tcproutes", "tlsroutes"], &CHANGE),
            rule(&gateway, &["gatewayclasses"], &READ),
        ],
    };
    let mut rules = vec![
        rule(&[""], &["configmaps", "pods/log"], &READ),
        rule(
            &[""],
            &["namespaces", "pods", "replicationcontrollers", "services"],
            verbs(&PATCH),
        ),
        rule(&[""], &["pods/portforward"], &["create"]),
        rule(
            &["apps"],
            &["daemonsets", "deployments", "replicasets", "statefulsets"],
            verbs(&PATCH),
        ),
        rule(&["batch"], &["cronjobs", "jobs"], verbs(&PATCH)),
        rule(&["authentication.k8s.io"], &["tokenreviews"], &["create"]),
        rule(
            &["admissionregistration.k8s.io"],
            &["mutatingwebhookconfigurations"],
            &["list"],
        ),
    ];
    rules.extend(mesh);
    json!(rules)
}
