//! What an API server fills in by itself, so that an object as it was applied costs no further
//! question, and what others fill in as their office. A default that is not named here costs one dry
//! run and nothing else.

use serde_json::{Map, Value, json};

/// Field and value, whatever the kind: none of them does harm anywhere.
const DEFAULTS: [(&str, &str); 39] = [
    (".spec.conversion", r#"{"strategy":"None"}"#),
    (".spec.internalTrafficPolicy", r#""Cluster""#),
    (".spec.ipFamilyPolicy", r#""SingleStack""#),
    (".spec.sessionAffinity", r#""None""#),
    (".spec.type", r#""ClusterIP""#),
    (".spec.ports[].protocol", r#""TCP""#),
    (".spec.parentRefs[].group", r#""gateway.networking.k8s.io""#),
    (".spec.parentRefs[].kind", r#""Gateway""#),
    (".spec.rules[].backendRefs[].group", r#""""#),
    (".spec.rules[].backendRefs[].kind", r#""Service""#),
    (".spec.rules[].backendRefs[].weight", r#"1"#),
    (".spec.progressDeadlineSeconds", r#"600"#),
    (".spec.revisionHistoryLimit", r#"10"#),
    (
        ".spec.strategy",
        r#"{"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":"25%","maxSurge":"25%"}}"#,
    ),
    (".spec.template.spec.dnsPolicy", r#""ClusterFirst""#),
    (".spec.template.spec.restartPolicy", r#""Always""#),
    (
        ".spec.template.spec.schedulerName",
        r#""default-scheduler""#,
    ),
    (".spec.template.spec.terminationGracePeriodSeconds", r#"30"#),
    (
        ".spec.template.spec.volumes[].configMap.defaultMode",
        r#"420"#,
    ),
    (
        ".spec.template.spec.containers[].imagePullPolicy",
        r#""IfNotPresent""#,
    ),
    (
        ".spec.template.spec.containers[].terminationMessagePath",
        r#""/dev/termination-log""#,
    ),
    (
        ".spec.template.spec.containers[].terminationMessagePolicy",
        r#""File""#,
    ),
    (
        ".spec.template.spec.containers[].ports[].protocol",
        r#""TCP""#,
    ),
    (
        ".spec.template.spec.containers[].env[].valueFrom.fieldRef.apiVersion",
        r#""v1""#,
    ),
    (
        ".spec.template.spec.containers[].startupProbe.failureThreshold",
        r#"3"#,
    ),
    (
        ".spec.template.spec.containers[].startupProbe.httpGet.scheme",
        r#""HTTP""#,
    ),
    (
        ".spec.template.spec.containers[].startupProbe.periodSeconds",
        r#"10"#,
    ),
    (
        ".spec.template.spec.containers[].startupProbe.successThreshold",
        r#"1"#,
    ),
    (
        ".spec.template.spec.containers[].startupProbe.timeoutSeconds",
        r#"1"#,
    ),
    (
        ".spec.template.spec.containers[].readinessProbe.failureThreshold",
        r#"3"#,
    ),
    (
        ".spec.template.spec.containers[].readinessProbe.httpGet.scheme",
        r#""HTTP""#,
    ),
    (
        ".spec.template.spec.containers[].readinessProbe.periodSeconds",
        r#"10"#,
    ),
    (
        ".spec.template.spec.containers[].readinessProbe.successThreshold",
        r#"1"#,
    ),
    (
        ".spec.template.spec.containers[].readinessProbe.timeoutSeconds",
        r#"1"#,
    ),
    (
        ".spec.template.spec.containers[].livenessProbe.failureThreshold",
        r#"3"#,
    ),
    (
        ".spec.template.spec.containers[].livenessProbe.httpGet.scheme",
        r#""HTTP""#,
    ),
    (
        ".spec.template.spec.containers[].livenessProbe.periodSeconds",
        r#"10"#,
    ),
    (
        ".spec.template.spec.containers[].livenessProbe.successThreshold",
        r#"1"#,
    ),
    (
        ".spec.template.spec.containers[].livenessProbe.timeoutSeconds",
        r#"1"#,
    ),
];

/// A namespace is everybody's; only its labels are ours.
pub fn is_compared(object: &Value) -> bool {
    object["kind"] != "Namespace"
}

pub fn is_default(pattern: &str, value: &Value) -> bool {
    let empty = match value {
        Value::Null => true,
        Value::Object(inner) => inner.is_empty(),
        Value::Array(inner) => inner.is_empty(),
        _ => false,
    };
    let named = || {
        let mut defaults = DEFAULTS.iter();
        defaults.any(|(field, text)| {
            *field == pattern && serde_json::from_str::<Value>(text).is_ok_and(|v| v == *value)
        })
    };
    empty || named()
}

/// Annotations of a pod template whose new values start it again: `kubectl rollout restart`, and ours.
const RESTARTS: [&str; 2] = [
    "kubectl.kubernetes.io/restartedAt",
    "ambikiali.dev/config-version",
];

/// Takes out what no manifest decides on: what is allocated, what follows from another field, and what
/// controllers and restarts write.
pub fn cut(kind: &str, parts: &mut Map<String, Value>) {
    match kind {
        "Deployment" => {
            let template = parts
                .get_mut("spec")
                .and_then(|spec| spec.get_mut("template"));
            let Some(template) = template else { return };
            let annotations = template.pointer_mut("/metadata/annotations");
            if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
                RESTARTS
                    .iter()
                    .for_each(|name| drop(annotations.remove(*name)));
            }
            // The old name of the same field.
            if let Some(pod) = template.get_mut("spec").and_then(Value::as_object_mut)
                && pod.get("serviceAccount") == pod.get("serviceAccountName")
            {
                pod.remove("serviceAccount");
            }
        }
        "Service" => {
            let Some(spec) = parts.get_mut("spec").and_then(Value::as_object_mut) else {
                return;
            };
            for allocated in ["clusterIP", "clusterIPs", "ipFamilies"] {
                spec.remove(allocated);
            }
            let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
                if port.get("targetPort") == port.get("port") {
                    port.remove("targetPort");
                }
            }
        }
        // OpenShift gives each account some.
        "ServiceAccount" => {
            parts.remove("secrets");
            parts.remove("imagePullSecrets");
        }
        "Secret" if parts.get("type") == Some(&json!("kubernetes.io/service-account-token")) => {
            parts.remove("data");
        }
        _ => {}
    }
}
