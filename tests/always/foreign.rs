//! Random foreign objects with our kinds and names exist before an install. Neither an install, whether it succeeds or
//! fails, nor a cleanup changes any of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::seeds::{Random, seeds};
use crate::support::{Clusters, Foreign, INSTALL, install_labels, on_two_clusters};

const CRD: &str = include_str!("../../manifests/kiali-crd.yaml");
/// The first one meets our needs unchanged.
const CLUSTER: [(&str, &str); 11] = [
    (
        "apiextensions.k8s.io/v1 CustomResourceDefinition",
        "kialis.kiali.io",
    ),
    ("v1 ServiceAccount", "istio-system/prometheus"),
    ("v1 ConfigMap", "istio-system/prometheus"),
    ("v1 Service", "istio-system/prometheus"),
    ("apps/v1 Deployment", "istio-system/prometheus"),
    (
        "gateway.networking.k8s.io/v1 Gateway",
        "istio-system/prometheus-gateway",
    ),
    (
        "gateway.networking.k8s.io/v1 HTTPRoute",
        "istio-system/prometheus",
    ),
    (
        "rbac.authorization.k8s.io/v1 ClusterRole",
        "ambikiali-prometheus",
    ),
    (
        "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
        "ambikiali-prometheus",
    ),
    ("rbac.authorization.k8s.io/v1 ClusterRole", "kiali-operator"),
    (
        "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
        "kiali-operator",
    ),
];
const HARMLESS: [(&str, &str); 2] = [
    ("v1 ConfigMap", "kiali/notes"),
    ("v1 Secret", "kiali/notes"),
];
/// Created only if the namespace is foreign too.
const NAMESPACE: [(&str, &str); 12] = [
    ("v1 ConfigMap", "kiali/ambikiali-record"),
    ("coordination.k8s.io/v1 Lease", "kiali/ambikiali"),
    ("v1 ServiceAccount", "kiali/kiali-operator"),
    ("apps/v1 Deployment", "kiali/kiali-operator"),
    ("v1 ServiceAccount", "kiali/kiali-service-account"),
    ("v1 Secret", "kiali/kiali"),
    ("v1 Secret", "kiali/kiali-multi-cluster-secret"),
    ("v1 ConfigMap", "kiali/prometheus-config"),
    ("v1 Service", "kiali/prometheus"),
    ("apps/v1 Deployment", "kiali/prometheus"),
    ("v1 ConfigMap", "kiali/notes"),
    ("v1 Secret", "kiali/notes"),
];
const MANAGERS: [&str; 4] = [
    "somebody",
    "helm",
    "argocd-controller",
    "kubectl-client-side-apply",
];

#[test]
fn fault_22_objects_of_others_under_our_names_are_never_changed() {
    on_two_clusters(async |clusters| {
        let mut ends = BTreeMap::new();
        for seed in seeds(5) {
            println!("seed {seed}");
            let code = untouched(clusters, &mut Random::new(seed)).await;
            *ends.entry(code).or_insert(0) += 1;
        }
        println!("foreign objects: installs by exit code {ends:?}, 0 objects changed");
    });
}

/// Returns the exit code of the install.
async fn untouched(clusters: &Clusters, random: &mut Random) -> i32 {
    let ours = install_labels(clusters.home()).await;
    let mut foreign = Vec::new();
    for cluster in [clusters.home(), clusters.remote()] {
        let objects = objects(random, &ours);
        println!("  {}: {}", cluster.name(), names(&objects));
        foreign.push(Foreign::made(cluster, objects, random.pick(&MANAGERS)).await);
    }
    let before = clusters.snapshots().await;
    let leases = leases(&foreign).await;
    let install = clusters
        .run(&[&INSTALL[..6], &["--timeout", "30s"]].concat())
        .await;
    // It succeeded, was refused, or timed out because of the foreign objects.
    assert!([0, 1, 3, 4, 9].contains(&install.code), "{install:#?}");
    // Names the contexts, because a rejected install is not remembered.
    let cleanup = [&["cleanup"], &INSTALL[1..5], &["--timeout", "120s"]];
    let cleanup = clusters.run(&cleanup.concat()).await;
    // A foreign object with the labels of the install is named and kept.
    let named = "it carries the labels of this install, but ";
    let left = cleanup.stdout.lines().filter(|l| l.starts_with("left "));
    let left = left.collect::<Vec<_>>();
    assert!(left.iter().all(|line| line.contains(named)), "{cleanup:#?}");
    assert_eq!(
        cleanup.code,
        if left.is_empty() { 0 } else { 6 },
        "{cleanup:#?}"
    );
    assert_eq!(clusters.left(&before).await, Vec::<String>::new());
    assert_eq!(self::leases(&foreign).await, leases);
    for foreign in foreign {
        foreign.removed().await;
    }
    install.code
}

/// Snapshots skip Leases, because controllers renew them. Nobody renews these, so compare them here.
async fn leases(foreign: &[Foreign<'_>]) -> Vec<Value> {
    let mut all = Vec::new();
    for foreign in foreign {
        all.extend(foreign.all().await.into_iter().flatten());
    }
    all.retain(|object| object["kind"] == "Lease");
    all
}

/// Returns random objects. In half of the cases, none of them prevents an install.
fn objects(random: &mut Random, ours: &Value) -> Vec<Value> {
    let mut wanted = Vec::new();
    let harmless = random.one_in(2);
    if random.one_in(2) {
        wanted.push(("v1 Namespace", "kiali"));
        let inside = if harmless { &HARMLESS[..] } else { &NAMESPACE };
        wanted.extend((0..random.below(4)).map(|_| random.pick(inside)));
    }
    let cluster = if harmless { &CLUSTER[..1] } else { &CLUSTER };
    wanted.extend((0..random.below(4)).map(|_| random.pick(cluster)));
    let mut made = Vec::new();
    for name in wanted {
        if !made.contains(&name) {
            made.push(name);
        }
    }
    let objects = made.into_iter();
    objects
        .map(|(kind, name)| object(random, kind, name, ours))
        .collect()
}

fn object(random: &mut Random, kind: &str, name: &str, ours: &Value) -> Value {
    let (api_version, kind) = kind.split_once(' ').expect("a version and a kind");
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    };
    let labels = match random.below(3) {
        0 => json!({}),
        1 => json!({"team": format!("team-{}", random.below(9))}),
        _ => ours.clone(),
    };
    let mut object = match kind {
        "CustomResourceDefinition" => serde_yaml::from_str(CRD).expect("YAML"),
        _ => content(random, kind),
    };
    object["apiVersion"] = json!(api_version);
    object["kind"] = json!(kind);
    object["metadata"]["name"] = json!(name);
    object["metadata"]["labels"] = labels;
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

/// Returns content without an effect: a Gateway of an unknown class, Deployments without pods.
fn content(random: &mut Random, kind: &str) -> Value {
    let word = format!("word-{}", random.below(1000));
    let role =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"});
    let pod = json!({"containers": [{"name": "main", "image": word}]});
    let port = random.pick(&[80, 8080, 9090]);
    let port_name = random.pick(&["http", "web", "grpc"]);
    match kind {
        "ConfigMap" => json!({"data": {word.clone(): word}}),
        "Secret" => json!({"stringData": {word.clone(): word}}),
        "Lease" => json!({"spec": {"holderIdentity": word, "leaseDurationSeconds": 15}}),
        "Service" => json!({"spec": {
            "selector": {"app": word}, "ports": [{"name": port_name, "port": port}],
        }}),
        "Deployment" => json!({"spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": word}},
            "template": {"metadata": {"labels": {"app": word}}, "spec": pod},
        }}),
        "ClusterRole" => json!({"rules": [
            {"apiGroups": [""], "resources": [word], "verbs": ["get"]},
        ]}),
        "ClusterRoleBinding" => json!({"roleRef": role, "subjects": [
            {"kind": "ServiceAccount", "name": word, "namespace": "default"},
        ]}),
        "Gateway" => json!({"spec": {
            "gatewayClassName": "other",
            "listeners": [{"name": "http", "port": port, "protocol": "HTTP"}],
        }}),
        "HTTPRoute" => json!({"spec": {"hostnames": [format!("{word}.example.com")]}}),
        _ => json!({}),
    }
}

fn names(objects: &[Value]) -> String {
    let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
    objects
        .iter()
        .map(name)
        .collect::<Vec<_>>()
        .join(", ")
        .replace('"', "")
}
