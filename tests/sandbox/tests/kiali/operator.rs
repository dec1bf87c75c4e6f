//! What an installer applies for the operator: the chart's objects, as far as they are functional.

use ambikiali_sandbox::Cluster;
use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::wait::{await_condition, conditions};
use serde_json::{Value, json};

pub const VERSION: &str = "v2.29.0";

pub async fn apply(cluster: &Cluster, object: Value) -> Result<()> {
    let text = |pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, version) = text("/apiVersion")
        .rsplit_once('/')
        .unwrap_or(("", text("/apiVersion")));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
    let api: Api<DynamicObject> = match text("/metadata/namespace") {
        "" => Api::all_with(cluster.client(), &resource),
        namespace => Api::namespaced_with(cluster.client(), namespace, &resource),
    };
    let by = PatchParams::apply("installer").force();
    api.patch(text("/metadata/name"), &by, &Patch::Apply(&object))
        .await?;
    Ok(())
}

/// Namespace and CRD.
pub async fn kinds(cluster: &Cluster) -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kiali"}});
    apply(cluster, namespace).await?;
    apply(cluster, crd()).await?;
    let crds: Api<CustomResourceDefinition> = Api::all(cluster.client());
    await_condition(crds, "kialis.kiali.io", conditions::is_crd_established()).await?;
    Ok(())
}

/// RBAC and Deployment.
pub async fn install(cluster: &Cluster) -> Result<()> {
    let account = json!({"kind": "ServiceAccount", "name": "kiali-operator", "namespace": "kiali"});
    apply(
        cluster,
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "kiali-operator", "namespace": "kiali"},
        }),
    )
    .await?;
    apply(cluster, cluster_role()).await?;
    apply(cluster, json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "kiali-operator"}, "subjects": [account],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kiali-operator"},
    }))
    .await?;
    apply(cluster, deployment()).await
}

fn crd() -> Value {
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "kialis.kiali.io"},
        "spec": {
            "group": "kiali.io", "scope": "Namespaced",
            "names": {"kind": "Kiali", "listKind": "KialiList", "plural": "kialis", "singular": "kiali"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": any, "status": any}}},
            }],
        },
    })
}

fn cluster_role() -> Value {
    let all = [
        "create", "delete", "get", "list", "patch", "update", "watch",
    ];
    let read = ["get", "list", "watch"];
    let patch = ["get", "list", "watch", "patch"];
    let write = ["get", "list", "watch", "create", "delete", "patch"];
    let rule = |groups: &[&str], resources: &[&str], verbs: &[&str]| json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
    let mut key = rule(
        &[""],
        &["secrets"],
        &["delete", "get", "list", "patch", "update", "watch"],
    );
    key["resourceNames"] = json!(["kiali-signing-key"]);
    let roles = [
        "clusterrolebindings",
        "clusterroles",
        "rolebindings",
        "roles",
    ];
    let istio = [
        "networking.istio.io",
        "security.istio.io",
        "extensions.istio.io",
        "telemetry.istio.io",
        "inference.networking.k8s.io",
    ];
    let gateway = ["gateway.networking.k8s.io"];
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "kiali-operator"},
        "rules": [
            rule(&[""], &["configmaps", "serviceaccounts", "services"], &all),
            rule(&[""], &["pods", "namespaces"], &["get", "list", "patch", "watch"]),
            rule(&[""], &["secrets"], &["create", "list", "watch"]),
            key,
            rule(&["apps"], &["deployments"], &all),
            rule(&["autoscaling"], &["horizontalpodautoscalers"], &all),
            rule(&["policy"], &["poddisruptionbudgets"], &all),
            rule(&["kiali.io"], &["*"], &all),
            rule(&["authorization.k8s.io"], &["selfsubjectaccessreviews"], &["create"]),
            rule(&["rbac.authorization.k8s.io"], &roles, &all),
            rule(&["networking.k8s.io"], &["ingresses", "networkpolicies"], &all),
            rule(&[""], &["pods/log"], &read),
            rule(&[""], &["pods", "replicationcontrollers", "services"], &patch),
            rule(&[""], &["pods/portforward"], &["create"]),
            rule(&["apps"], &["daemonsets", "deployments", "replicasets", "statefulsets"], &patch),
            rule(&["batch"], &["cronjobs", "jobs"], &patch),
            rule(&istio, &["*"], &write),
            rule(&gateway, &["gateways", "grpcroutes", "httproutes", "referencegrants"], &write),
            rule(&gateway, &["tcproutes", "tlsroutes"], &["get", "list", "watch", "delete", "patch"]),
            rule(&gateway, &["*"], &read),
            rule(&["authentication.k8s.io"], &["tokenreviews"], &["create"]),
            rule(&["admissionregistration.k8s.io"], &["mutatingwebhookconfigurations"], &["list"]),
        ],
    })
}

fn deployment() -> Value {
    let labels = json!({"app.kubernetes.io/name": "kiali-operator", "version": VERSION});
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let get = |path: &str| json!({"httpGet": {"path": path, "port": 6789}, "periodSeconds": 30});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "kiali-operator", "namespace": "kiali", "labels": labels},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app.kubernetes.io/name": "kiali-operator"}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": "kiali-operator",
                    "containers": [{
                        "name": "operator", "image": format!("quay.io/kiali/kiali-operator:{VERSION}"),
                        "args": ["--watches-file=./$(WATCHES_FILE)", "--health-probe-bind-address=:6789"],
                        "env": [
                            {"name": "WATCH_NAMESPACE", "value": ""},
                            {"name": "POD_NAME", "valueFrom": field("metadata.name")},
                            {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
                            {"name": "WATCHES_FILE", "value": "watches-k8s.yaml"},
                        ],
                        "readinessProbe": get("/readyz"), "livenessProbe": get("/healthz"),
                    }],
                },
            },
        },
    })
}
