//! Fields by which admission policies and webhooks change what runs, who may do what, and who is served. A fresh apply
//! is changed in the same way, so a comparison with it does not reveal them, and an install cannot undo them. They are
//! reported each time, because whoever may write policies or webhooks may run anything as one of our pods.

use serde_json::{Value, json};

use super::comparable;
use super::path::{Path, differing, extras};
use crate::k8s::difference::difference;

/// The fields of each kind that count. Defaults that a server or a CRD fills into other fields do not.
const OF_KIND: [(&str, &[&str]); 10] = [
    ("ClusterRole", &[".aggregationRule", ".rules"]),
    ("ClusterRoleBinding", &[".subjects"]),
    ("ConfigMap", &[".binaryData", ".data"]),
    ("CustomResourceDefinition", &[".spec.conversion"]),
    (
        "Gateway",
        &[".spec.addresses", ".spec.infrastructure", ".spec.listeners"],
    ),
    (
        "HTTPRoute",
        &[".spec.hostnames", ".spec.parentRefs", ".spec.rules"],
    ),
    ("Kiali", &[".spec"]),
    ("Secret", &[".data"]),
    (
        "Service",
        &[
            ".spec.externalIPs",
            ".spec.ports",
            ".spec.selector",
            ".spec.type",
        ],
    ),
    ("ServiceAccount", &[".automountServiceAccountToken"]),
];
/// The fields of a pod.
const OF_POD: [&str; 6] = [
    ".hostAliases",
    ".hostIPC",
    ".hostNetwork",
    ".hostPID",
    ".serviceAccountName",
    ".volumes",
];
const OF_CONTAINER: [&str; 15] = [
    ".args",
    ".command",
    ".env",
    ".envFrom",
    ".image",
    ".lifecycle",
    ".livenessProbe.exec",
    ".readinessProbe.exec",
    ".startupProbe.exec",
    ".securityContext.allowPrivilegeEscalation",
    ".securityContext.capabilities.add",
    ".securityContext.privileged",
    ".volumeDevices",
    ".volumeMounts",
    ".workingDir",
];
const CONTAINERS: [&str; 2] = [".containers[]", ".initContainers[]"];
const TEMPLATE: &str = ".spec.template";
const POD: &str = ".spec.template.spec";
/// The volume and the path by which the API server itself gives a pod the token of its account.
const TOKENS: (&str, &str) = (
    "kube-api-access-",
    "/var/run/secrets/kubernetes.io/serviceaccount",
);

/// The fields in which an object, as the server has it, is decisively not what was asked for.
pub fn changed(wanted: &Value, got: &Value) -> Vec<Path> {
    let kind = got["kind"].as_str().unwrap_or_default();
    let (wanted, got) = (comparable(wanted), comparable(got));
    let now = |path: &Path| path.of(&got).filter(|value| !value.is_null());
    let mut all = extras(&wanted, &got);
    all.retain(|path| decides(kind, path, now(path), true));
    let other = differing(&got, &wanted).into_iter();
    let other = other.filter(|path| is_another(path.of(&wanted), now(path)));
    let other = other.filter(|path| decides(kind, path, now(path), false));
    // An added field may be inside a list that is another one for that reason.
    let mut other = other.collect::<Vec<_>>();
    other.retain(|path| !all.iter().any(|added| added.meets(path)));
    all.extend(other);
    all.sort_by_cached_key(ToString::to_string);
    all
}

/// The same for a pod and the template that it was created from.
pub fn changed_pod(template: &Value, pod: &Value) -> Vec<String> {
    let deployment =
        |spec: &Value| json!({"kind": "Deployment", "spec": {"template": {"spec": spec}}});
    let all = changed(&deployment(&template["spec"]), &deployment(&pod["spec"]));
    let own = |path: &Path| path.to_string().replacen(TEMPLATE, "", 1);
    all.iter().map(own).collect()
}

fn is_another(wanted: Option<&Value>, got: Option<&Value>) -> bool {
    match (wanted, got) {
        (None | Some(Value::Null), _) => false,
        (Some(_), None) => true,
        (Some(wanted), Some(got)) => difference(wanted, got).is_some(),
    }
}

/// Whether a changed field counts. `is_added` says that the field was not asked for at all.
fn decides(kind: &str, path: &Path, got: Option<&Value>, is_added: bool) -> bool {
    let field = path.pattern();
    if kind == "Deployment" {
        let field = field.strip_prefix(POD);
        return field.is_some_and(|field| decides_pod(field, got, is_added));
    }
    let may_be_off = is_added && kind == "ServiceAccount";
    let fields = OF_KIND.iter().find(|(of, _)| *of == kind);
    let mut fields = fields.iter().flat_map(|(_, fields)| *fields);
    fields.any(|one| meets(one, &field, got, may_be_off))
}

fn decides_pod(field: &str, got: Option<&Value>, is_added: bool) -> bool {
    let is_account = field == ".serviceAccountName" && got.is_some_and(|got| got == "default");
    if is_account || got.is_some_and(is_of_tokens) {
        return false;
    }
    match CONTAINERS.iter().find_map(|list| field.strip_prefix(list)) {
        // A whole container.
        Some("") => true,
        Some(field) => OF_CONTAINER
            .iter()
            .any(|one| meets(one, field, got, is_added)),
        None => {
            let mut lists = CONTAINERS.iter().map(|list| list.trim_end_matches("[]"));
            lists.any(|list| list == field)
                || OF_POD.iter().any(|one| meets(one, field, got, is_added))
        }
    }
}

/// Whether a field is `one`, is in it, or contains it. With `may_be_off`, a value that switches it off does not count.
fn meets(one: &str, field: &str, got: Option<&Value>, may_be_off: bool) -> bool {
    let is_off = |value: &Value| match value {
        Value::Bool(on) => !on,
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    let value = match (one.strip_prefix(field), field.strip_prefix(one), got) {
        (_, Some(rest), got) if rest.is_empty() || rest.starts_with(['.', '[']) => got,
        (Some(rest), _, Some(got)) if rest.starts_with('.') => {
            match got.pointer(&rest.replace('.', "/")) {
                Some(inner) => Some(inner),
                None => return false,
            }
        }
        (Some(rest), _, None) if rest.starts_with('.') => None,
        _ => return false,
    };
    !(may_be_off && value.is_some_and(is_off))
}

/// Whether this is a volume or mount of a token, or a list of nothing else.
fn is_of_tokens(got: &Value) -> bool {
    match got {
        Value::Array(list) => !list.is_empty() && list.iter().all(is_token),
        got => is_token(got),
    }
}

fn is_token(got: &Value) -> bool {
    let is_named = got["name"]
        .as_str()
        .is_some_and(|name| name.starts_with(TOKENS.0));
    let sources = got["projected"]["sources"].as_array();
    let is_projected = sources.is_some_and(|sources| sources.iter().all(is_of_account));
    let is_mounted = got["mountPath"] == TOKENS.1 && got["readOnly"] == true;
    is_named && (is_projected || is_mounted)
}

/// Whether this is one of the three sources of which the API server makes the volume.
fn is_of_account(source: &Value) -> bool {
    let source = source.as_object().into_iter().flatten();
    source
        .into_iter()
        .all(|(kind, source)| match kind.as_str() {
            "serviceAccountToken" | "downwardAPI" => true,
            "configMap" => source["name"] == "kube-root-ca.crt",
            _ => false,
        })
}

#[cfg(test)]
mod tests;
