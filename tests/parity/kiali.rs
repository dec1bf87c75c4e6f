//! The guide's sections about Kiali and its operator.

use serde_json::{Value, json};

use super::table::{Made, difference, made};
use super::there;
use crate::support::Clusters;

const DEPLOYMENT: (&str, &str) = ("apps/v1", "Deployment");
const ONLY_LOOKS: &str = "anyone who reaches Kiali acts with its rights";

/// `helm install kiali-operator`.
pub fn everywhere() -> Vec<Made> {
    vec![
        made(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "kialis.kiali.io",
            json!({"spec": {
                "group": "kiali.io",
                "scope": "Namespaced",
                "names": {"kind": "Kiali", "listKind": "KialiList", "plural": "kialis", "singular": "kiali"},
                "versions": [{"name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}}}],
            }}),
        )
        .instead(
            "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-preserve-unknown-fields",
            Value::Null,
            json!(true),
            "the operator has defaults and checks of its own; a copy of its schema goes stale",
        ),
        made("v1", "ServiceAccount", "kiali/kiali-operator", json!({})),
        made(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            "kiali-operator",
            json!({
                "roleRef": {"kind": "ClusterRole", "name": "kiali-operator"},
                "subjects": [{"kind": "ServiceAccount", "name": "kiali-operator", "namespace": "kiali"}],
            }),
        ),
        operator(),
    ]
}

fn operator() -> Made {
    let selector = json!({
        "app.kubernetes.io/name": "kiali-operator",
        "app.kubernetes.io/instance": "kiali-operator",
    });
    made(
        DEPLOYMENT.0,
        DEPLOYMENT.1,
        "kiali/kiali-operator",
        json!({"spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": {"version": "v2.29.0", "name": "kiali-operator", "app": "kiali-operator"}},
                "spec": {
                    "serviceAccountName": "kiali-operator",
                    "containers": [{
                        "image": "quay.io/kiali/kiali-operator:v2.29.0",
                        "args": [
                            "--zap-log-level=info",
                            "--leader-election-id=kiali-operator",
                            "--reconcile-period=0s",
                            "--watches-file=./$(WATCHES_FILE)",
                            "--health-probe-bind-address=:6789",
                            "--metrics-bind-address=:8080",
                        ],
                        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    }],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                },
            },
        }}),
    )
    .instead(
        "/spec/template/spec/containers/0/imagePullPolicy",
        json!("Always"),
        json!("IfNotPresent"),
        "the tag is a release, which does not change",
    )
    .instead(
        "/spec/template/spec/containers/0/startupProbe/initialDelaySeconds",
        json!(30),
        Value::Null,
        "it works after eight seconds",
    )
}

/// Section "Prepare remote cluster".
pub fn on_remote() -> Vec<Made> {
    let spec = json!({
        "auth": {"strategy": "anonymous"},
        "deployment": {"remote_cluster_resources_only": true},
    });
    vec![
        made(
            "kiali.io/v1alpha1",
            "Kiali",
            "kiali/kiali",
            json!({"spec": spec}),
        )
        .instead(
            "/spec/deployment/view_only_mode",
            Value::Null,
            json!(true),
            ONLY_LOOKS,
        ),
        made(
            "v1",
            "Secret",
            "kiali/kiali",
            json!({
                "type": "kubernetes.io/service-account-token",
                "metadata": {"annotations": {"kubernetes.io/service-account.name": "kiali-service-account"}},
            }),
        ),
    ]
}

/// Section "Deploy Kiali".
pub fn on_home() -> Vec<Made> {
    vec![
        made(
            "kiali.io/v1alpha1",
            "Kiali",
            "kiali/kiali",
            json!({"spec": {
                "auth": {"strategy": "anonymous"},
                "external_services": {
                    "prometheus": {"url": "http://prometheus.kiali:9090"},
                    "grafana": {"enabled": false},
                },
                "server": {"web_root": "/kiali"},
            }}),
        )
        .instead(
            "/spec/deployment/probes/startup/initial_delay_seconds",
            Value::Null,
            json!(2),
            "the default looks after half a minute for the first time",
        )
        .instead(
            "/spec/deployment/view_only_mode",
            Value::Null,
            json!(true),
            ONLY_LOOKS,
        )
        .instead(
            "/spec/kubernetes_config/cluster_name",
            Value::Null,
            json!("cluster1"),
            "the name that everything here was made with, not one found again at each start",
        ),
        // The version label of the operator's pod template.
        made(
            DEPLOYMENT.0,
            DEPLOYMENT.1,
            "kiali/kiali",
            json!({"spec": {"template": {"spec": {"containers": [{"image": "quay.io/kiali/kiali:v2.29.0"}]}}}}),
        ),
    ]
}

/// Variables of the operator that are the same as in the chart.
const SAME: [(&str, &str); 8] = [
    ("WATCHES_FILE", "watches-k8s.yaml"),
    ("ALLOW_AD_HOC_KIALI_IMAGE", "false"),
    ("ALLOW_AD_HOC_CONTAINERS", "false"),
    ("ALLOW_SECURITY_CONTEXT_OVERRIDE", "false"),
    ("ALLOW_ALL_ACCESSIBLE_NAMESPACES", "true"),
    ("ANSIBLE_CONFIG", "/etc/ansible/ansible.cfg"),
    ("ANSIBLE_LOCAL_TEMP", "/tmp/ansible/tmp"),
    ("ANSIBLE_REMOTE_TEMP", "/tmp/ansible/tmp"),
];

/// Variables of the operator that differ from the chart.
const INSTEAD: [(&str, &str); 3] = [
    // Debug and verbose logs print Secrets.
    ("ANSIBLE_DEBUG_LOGS", "false"),
    ("ANSIBLE_VERBOSITY_KIALI_KIALI_IO", "0"),
    // Kiali runs in the namespace of its CR.
    ("ALLOW_AD_HOC_KIALI_NAMESPACE", "false"),
];

pub async fn the_operator_knows_its_pod_and_its_version(clusters: &Clusters) {
    for cluster in ["cluster1", "cluster2"] {
        let operator = there(clusters, cluster, DEPLOYMENT, "kiali/kiali-operator").await;
        let env = &operator["spec"]["template"]["spec"]["containers"][0]["env"];
        let all = env.as_array().expect("variables");
        let variable = |name: &str| all.iter().find(|v| v["name"] == name);
        let value = |name: &str| variable(name).and_then(|v| v["value"].as_str());
        for (name, field) in [
            ("POD_NAME", "metadata.name"),
            ("POD_NAMESPACE", "metadata.namespace"),
        ] {
            let field = json!({"valueFrom": {"fieldRef": {"fieldPath": field}}});
            let is = variable(name).unwrap_or(&Value::Null);
            assert_eq!(difference(&field, is), None, "{name}");
        }
        // Present and empty means that it watches all namespaces.
        assert!(variable("WATCH_NAMESPACE").is_some());
        assert_eq!(value("WATCH_NAMESPACE"), None);
        for (name, wanted) in SAME.into_iter().chain(INSTEAD) {
            assert_eq!(value(name), Some(wanted), "{name}");
        }
    }
}
