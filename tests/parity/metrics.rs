//! The guide's sections about Prometheus.

use serde_json::{Value, json};

use super::table::{Made, made};

const IMAGE: &str = "prom/prometheus:v3.12.0@sha256:69f5241418838263316593f7274a304b095c40bcf22e57272865da91bd60a8ac";
const PINNED: &str = "what was tested is what runs";
/// The guide uses `prometheus`, as other tools do. Our cluster-wide objects have a name of their own.
const OWN_NAME: &str = "ambikiali-prometheus";
const ONLY_HOME: &str = "only home's Prometheus reads the metrics of the mesh";
const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";

/// Sections "Prepare for Kiali deployment" and "Deploy Prometheus in each cluster".
pub fn everywhere() -> Vec<Made> {
    let selector = json!({
        "app.kubernetes.io/name": "prometheus",
        "app.kubernetes.io/instance": "prometheus",
        "app.kubernetes.io/component": "server",
    });
    vec![
        made("v1", "Namespace", "kiali", json!({})),
        made("v1", "ServiceAccount", "istio-system/prometheus", json!({})),
        role(),
        made(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            OWN_NAME,
            json!({
                "roleRef": {"kind": "ClusterRole", "name": OWN_NAME},
                "subjects": [{"kind": "ServiceAccount", "name": "prometheus", "namespace": "istio-system"}],
            }),
        ),
        made(
            "v1",
            "Service",
            "istio-system/prometheus",
            json!({"spec": {
                "type": "ClusterIP",
                "ports": [{"name": "http", "port": 9090, "protocol": "TCP", "targetPort": 9090}],
                "selector": selector,
            }}),
        ),
        server(&selector),
    ]
}

/// Section "Expose Prometheus".
pub fn exposed() -> Vec<Made> {
    vec![
        made(
            GATEWAY_API,
            "Gateway",
            "istio-system/prometheus-gateway",
            json!({"spec": {
                "gatewayClassName": "istio",
                "listeners": [{
                    "port": 9090, "allowedRoutes": {"namespaces": {"from": "Same"}},
                }],
            }}),
        )
        .instead(
            "/spec/listeners/0/name",
            json!("http"),
            json!("https"),
            ONLY_HOME,
        )
        .instead(
            "/spec/listeners/0/protocol",
            json!("HTTP"),
            json!("HTTPS"),
            ONLY_HOME,
        ),
        made(
            GATEWAY_API,
            "HTTPRoute",
            "istio-system/prometheus",
            json!({"spec": {
                "parentRefs": [{"name": "prometheus-gateway", "port": 9090}],
                "rules": [{"backendRefs": [{"name": "prometheus", "port": 9090}]}],
            }}),
        )
        .instead(
            "/spec/rules/0/matches",
            json!([{"path": {"type": "PathPrefix", "value": "/"}}]),
            json!([{"method": "GET", "path": {"type": "Exact", "value": "/federate"}}]),
            "queries, configuration and shutdown are not for whoever reaches the address",
        ),
    ]
}

fn role() -> Made {
    let read = json!(["get", "list", "watch"]);
    let discovery =
        json!({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read});
    let metrics = json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]});
    let core = [
        "nodes",
        "nodes/metrics",
        "services",
        "endpoints",
        "pods",
        "ingresses",
        "configmaps",
    ];
    let ingresses = json!({
        "apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status", "ingresses"], "verbs": read,
    });
    let rule =
        |resources: &[&str]| json!({"apiGroups": [""], "resources": resources, "verbs": read});
    made(
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        OWN_NAME,
        json!({}),
    )
    .instead(
        "/rules",
        json!([rule(&core), ingresses, discovery, metrics]),
        json!([rule(&["pods"])]),
        "its one scrape job discovers pods and nothing else",
    )
}

/// Returns the Prometheus in each cluster.
fn server(selector: &Value) -> Made {
    made(
        "apps/v1",
        "Deployment",
        "istio-system/prometheus",
        json!({"spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": {"sidecar.istio.io/inject": "false"}},
                "spec": {
                    "serviceAccountName": "prometheus",
                    "volumes": [
                        {"name": "config-volume", "configMap": {"name": "prometheus"}},
                        {"name": "storage-volume", "emptyDir": {}},
                    ],
                },
            },
        }}),
    )
    .instead(
        "/spec/template/spec/containers/0/name",
        json!("prometheus-server-configmap-reload"),
        json!("prometheus-server"),
        "a change of the configuration is a roll-out, so nothing watches for it",
    )
    .instead(
        "/spec/template/spec/containers/0/image",
        json!("docker.io/prom/prometheus:v3.10.0"),
        json!(IMAGE),
        PINNED,
    )
    .instead(
        "/spec/template/spec/containers/0/args",
        json!([
            "--storage.tsdb.retention.time=15d",
            "--config.file=/etc/config/prometheus.yml",
            "--storage.tsdb.path=/data",
            "--web.console.libraries=/etc/prometheus/console_libraries",
            "--web.console.templates=/etc/prometheus/consoles",
            "--web.enable-lifecycle",
        ]),
        json!([
            "--config.file=/etc/config/prometheus.yml",
            "--storage.tsdb.path=/data",
            "--storage.tsdb.retention.time=15d",
            "--web.max-connections=16",
            "--web.read-timeout=25s",
        ]),
        "nothing reloads it over HTTP, so nobody may shut it down so either",
    )
}

/// Section "Aggregate metrics".
pub fn on_home() -> Vec<Made> {
    let app = json!({"app": "prometheus"});
    vec![
        made(
            "apps/v1",
            "Deployment",
            "kiali/prometheus",
            json!({"spec": {
                "replicas": 1,
                "selector": {"matchLabels": app},
                "template": {"metadata": {"labels": app}, "spec": {"containers": [
                    {"name": "prometheus", "ports": [{"containerPort": 9090}]},
                ]}},
            }}),
        )
        .instead(
            "/spec/template/spec/containers/0/image",
            json!("prom/prometheus"),
            json!(IMAGE),
            PINNED,
        )
        .instead(
            "/spec/template/spec/containers/0/volumeMounts",
            json!([{"name": "config-volume", "mountPath": "/etc/prometheus"}]),
            json!([
                {"name": "config-volume", "mountPath": "/etc/prometheus"},
                {"name": "storage", "mountPath": "/prometheus"},
            ]),
            "its root file system is read-only",
        ),
        made(
            "v1",
            "Service",
            "kiali/prometheus",
            json!({
                "metadata": {"labels": {"app": "prometheus", "service": "prometheus"}},
                "spec": {"ports": [{"name": "http", "port": 9090}], "selector": app},
            }),
        ),
    ]
}
