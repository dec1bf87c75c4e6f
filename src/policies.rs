//! Finds AuthorizationPolicies and NetworkPolicies that would block an install. Only policies that block for certain
//! are reported, because it is unknown whether the data plane enforces them.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::DynamicObject;
use serde_json::Value;

use crate::guide::ISTIO_NAMESPACE;

type Labels = &'static [(&'static str, &'static str)];

/// Pods of an install and the labels by which a policy selects them.
pub struct Pods {
    pub what: &'static str,
    labels: Labels,
    /// Whether the pods accept connections. All of them open connections.
    serve: bool,
}

const GATEWAY: Pods = Pods {
    what: "the Gateway in front of Prometheus",
    labels: &[
        (
            "gateway.networking.k8s.io/gateway-name",
            "prometheus-gateway",
        ),
        ("gateway.networking.k8s.io/gateway-class-name", "istio"),
        ("gateway.istio.io/managed", "istio.io-gateway-controller"),
        (
            "service.istio.io/canonical-name",
            "prometheus-gateway-istio",
        ),
    ],
    serve: true,
};
const PROMETHEUS: Pods = Pods {
    what: "Prometheus",
    labels: &[
        ("app.kubernetes.io/name", "prometheus"),
        ("app.kubernetes.io/instance", "prometheus"),
        ("app.kubernetes.io/component", "server"),
        ("app.kubernetes.io/part-of", "prometheus"),
        ("sidecar.istio.io/inject", "false"),
    ],
    serve: true,
};
const OPERATOR: Pods = Pods {
    what: "the Kiali operator",
    labels: &[
        ("app", "kiali-operator"),
        ("name", "kiali-operator"),
        ("app.kubernetes.io/name", "kiali-operator"),
        ("app.kubernetes.io/instance", "kiali-operator"),
        ("app.kubernetes.io/part-of", "kiali-operator"),
    ],
    serve: false,
};
const FEDERATING: Pods = Pods {
    what: "the federating Prometheus",
    labels: &[("app", "prometheus")],
    serve: true,
};
const KIALI: Pods = Pods {
    what: "Kiali",
    labels: &[
        ("app", "kiali"),
        ("app.kubernetes.io/name", "kiali"),
        ("app.kubernetes.io/instance", "kiali"),
        ("app.kubernetes.io/part-of", "kiali"),
    ],
    serve: false,
};

/// Pods in Istio's namespace, unless the user's own Prometheus is scraped.
pub const OF_THE_MESH: &[Pods] = &[GATEWAY, PROMETHEUS];
pub const ON_HOME: &[Pods] = &[FEDERATING, KIALI, OPERATOR];
pub const ON_REMOTE: &[Pods] = &[OPERATOR];

/// The AuthorizationPolicy that makes the Gateway deny a scrape, which is `GET /federate` from a client without an
/// identity in the mesh.
pub fn denying(policies: &[DynamicObject]) -> Option<(&DynamicObject, &'static str)> {
    let held = policies
        .iter()
        .filter(|policy| holds_for_the_gateway(policy));
    let of = |action: &'static str| {
        let held = held.clone();
        held.filter(move |policy| self::action(policy) == action)
    };
    let rules = |policy: &DynamicObject| policy.data["spec"]["rules"].as_array().cloned();
    let denies = |policy: &&DynamicObject| rules(policy).unwrap_or_default().iter().any(surely);
    let allows = |policy: &DynamicObject| rules(policy).unwrap_or_default().iter().any(perhaps);
    if let Some(policy) = of("DENY").find(denies) {
        return Some((
            policy,
            "denies every request to the Gateway in front of Prometheus",
        ));
    }
    let mut allowing = of("ALLOW").peekable();
    let first = *allowing.peek()?;
    (!allowing.any(allows)).then_some((
        first,
        "lets nobody without an identity in the mesh reach the Gateway in front of Prometheus",
    ))
}

fn action(policy: &DynamicObject) -> &str {
    policy.data["spec"]["action"].as_str().unwrap_or("ALLOW")
}

fn holds_for_the_gateway(policy: &DynamicObject) -> bool {
    let spec = &policy.data["spec"];
    let single = spec["targetRef"].is_object().then(|| &spec["targetRef"]);
    let mut targets = single
        .into_iter()
        .chain(spec["targetRefs"].as_array().into_iter().flatten())
        .peekable();
    if targets.peek().is_some() {
        return targets.any(|target| {
            let (kind, name) = (target["kind"].as_str(), target["name"].as_str());
            (kind, name) == (Some("Gateway"), Some("prometheus-gateway"))
                || (kind, name) == (Some("GatewayClass"), Some("istio"))
        });
    }
    let labels = spec["selector"]["matchLabels"].as_object();
    let mut labels = labels.into_iter().flatten();
    labels.all(|(name, value)| value.as_str().is_some_and(|v| has(GATEWAY.labels, name, v)))
}

/// Whether a scrape may match the rule.
fn perhaps(rule: &Value) -> bool {
    let any = |list: &Value, test: fn(&Value) -> bool| {
        let list = list.as_array().filter(|list| !list.is_empty());
        list.is_none_or(|list| list.iter().any(test))
    };
    let condition = |when: &Value| {
        let key = when["key"].as_str().unwrap_or_default();
        let of_identity = ["request.auth.", "source.principal", "source.namespace"];
        let wanted = when["values"].as_array().is_some_and(|v| !v.is_empty());
        !(wanted && of_identity.iter().any(|start| key.starts_with(start)))
    };
    let conditions = rule["when"].as_array().into_iter().flatten();
    any(&rule["from"], anonymous)
        && any(&rule["to"], operation)
        && conditions.into_iter().all(condition)
}

/// Whether a client without a certificate or token may match this source.
fn anonymous(from: &Value) -> bool {
    let names = [
        "principals",
        "requestPrincipals",
        "namespaces",
        "serviceAccounts",
    ];
    let named = |field: &&str| {
        from["source"][field]
            .as_array()
            .is_some_and(|v| !v.is_empty())
    };
    !names.iter().any(named)
}

fn operation(to: &Value) -> bool {
    let to = &to["operation"];
    let listed = |field: &str| to[field].as_array().filter(|list| !list.is_empty());
    let wanted = [
        ("methods", "GET"),
        ("paths", "/federate"),
        ("ports", "9090"),
    ];
    let meant = wanted.iter().all(|(field, is)| {
        listed(field).is_none_or(|list| list.iter().any(|pattern| matches(pattern, is)))
    });
    let barred = [
        ("notMethods", "GET"),
        ("notPaths", "/federate"),
        ("notPorts", "9090"),
    ];
    let barred = barred.iter().any(|(field, is)| {
        listed(field).is_some_and(|list| list.iter().any(|pattern| pattern == is))
    });
    meant && !barred
}

/// Whether every scrape matches the rule for certain.
fn surely(rule: &Value) -> bool {
    let absent = |field: &str| rule[field].as_array().is_none_or(Vec::is_empty);
    let plain = |to: &Value| {
        let fields = to["operation"].as_object();
        let known = |field: &String| matches!(field.as_str(), "methods" | "paths" | "ports");
        fields.is_none_or(|fields| fields.keys().all(known)) && operation(to)
    };
    let to = rule["to"].as_array().filter(|to| !to.is_empty());
    absent("from") && absent("when") && to.is_none_or(|to| to.iter().any(plain))
}

/// Matches `/fed*`, `*ate` and `*`. A template may match anything.
fn matches(pattern: &Value, is: &str) -> bool {
    let pattern = pattern.as_str().unwrap_or_default();
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        _ if pattern.contains('{') => true,
        (Some(start), _) => is.starts_with(start),
        (_, Some(end)) => is.ends_with(end),
        _ => pattern == is,
    }
}

/// The NetworkPolicies of a namespace that block all traffic to our pods, or all traffic from them.
pub fn cut_off(
    policies: &[NetworkPolicy],
    ours: impl IntoIterator<Item = &'static Pods>,
) -> Vec<(&NetworkPolicy, String)> {
    let mut found = Vec::<(&NetworkPolicy, String)>::new();
    for pods in ours {
        for (direction, what) in [("Ingress", "nothing to"), ("Egress", "nothing from")] {
            if direction == "Ingress" && !pods.serve {
                continue;
            }
            let held = policies
                .iter()
                .filter(|policy| isolates(policy, pods, direction));
            let held = held.collect::<Vec<_>>();
            let open = held.iter().any(|policy| allows(policy, direction));
            let Some(first) = held.first().filter(|_| !open) else {
                continue;
            };
            let said = format!("{what} {}", pods.what);
            match found
                .iter_mut()
                .find(|(policy, _)| std::ptr::eq(*policy, *first))
            {
                Some((_, all)) => *all = format!("{all}, {said}"),
                None => found.push((first, format!("allows {said}"))),
            }
        }
    }
    found
}

fn isolates(policy: &NetworkPolicy, pods: &Pods, direction: &str) -> bool {
    let Some(spec) = &policy.spec else {
        return false;
    };
    let types = spec.policy_types.as_deref().unwrap_or_default();
    let holds = match types.is_empty() {
        // The API server's default.
        true => direction == "Ingress" || spec.egress.is_some(),
        false => types.iter().any(|one| one == direction),
    };
    holds
        && spec
            .pod_selector
            .as_ref()
            .is_none_or(|selector| selects(selector, pods.labels))
}

fn allows(policy: &NetworkPolicy, direction: &str) -> bool {
    let spec = policy.spec.as_ref();
    spec.is_some_and(|spec| match direction {
        "Ingress" => spec.ingress.as_ref().is_some_and(|rules| !rules.is_empty()),
        _ => spec.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
    })
}

fn selects(selector: &LabelSelector, labels: Labels) -> bool {
    let none = BTreeMap::new();
    let mut wanted = selector.match_labels.as_ref().unwrap_or(&none).iter();
    let mut more = selector.match_expressions.iter().flatten();
    wanted.all(|(name, value)| has(labels, name, value)) && more.all(|one| meets(one, labels))
}

fn meets(one: &LabelSelectorRequirement, labels: Labels) -> bool {
    let value = labels.iter().find(|(name, _)| *name == one.key);
    let listed = |(_, value): &(&str, &str)| {
        let values = one.values.as_deref().unwrap_or_default();
        values.iter().any(|wanted| wanted == value)
    };
    match one.operator.as_str() {
        "In" => value.is_some_and(listed),
        "NotIn" => !value.is_some_and(listed),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

fn has(labels: Labels, name: &str, value: &str) -> bool {
    labels.contains(&(name, value))
}

/// The name of a policy for messages.
pub fn name(policy: &DynamicObject) -> String {
    let name = policy.metadata.name.as_deref().unwrap_or_default();
    format!("AuthorizationPolicy {ISTIO_NAMESPACE}/{name}")
}

#[cfg(test)]
mod tests;
