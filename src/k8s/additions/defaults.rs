//! Defaults that the API server fills in, and fields that controllers fill in. They avoid a dry run for unchanged
//! objects. A default that is missing here costs one dry run and nothing else.

use serde_json::{Map, Value, json};

/// Field and default value, for any kind.
const DEFAULTS: [(&str, &str); 40] = [
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
    (
        ".spec.strategy.rollingUpdate",
        r#"{"maxUnavailable":"25%","maxSurge":"25%"}"#,
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

/// A namespace is shared, and only its labels are ours, so it is not compared.
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

/// Annotations of a pod template that restart its pods: that of `kubectl rollout restart`, and ours.
const RESTARTS: [&str; 2] = [
    "kubectl.kubernetes.io/restartedAt",
    "ambikiali.dev/config-version",
];

/// Removes fields that a manifest does not determine: allocated and derived ones, and those that controllers and
/// restarts write.
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
            // Deprecated alias of serviceAccountName.
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
        // Chosen by admission and by the controller that binds the claim, and never changed after that.
        "PersistentVolumeClaim" => {
            if let Some(spec) = parts.get_mut("spec").and_then(Value::as_object_mut) {
                for chosen in ["storageClassName", "volumeMode", "volumeName"] {
                    spec.remove(chosen);
                }
            }
        }
        // OpenShift adds these to each ServiceAccount.
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
