//! Checks the user's rights before the first write. One SelfSubjectRulesReview returns all cluster-wide rights,
//! which suffices for an administrator. Only rights that it does not cover are checked one by one.

use futures::StreamExt;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, ResourceRule, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;

use super::Scope;
use super::request::send;
use crate::progress::ObjectId;

/// A namespace that cannot exist: rights in it are those that hold in all namespaces.
const EVERYWHERE: &str = "no.namespace";
const RBAC: &str = "rbac.authorization.k8s.io";
/// Limit for concurrent requests.
const AT_ONCE: usize = 8;

/// One verb on one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// None for the whole cluster.
    pub namespace: Option<String>,
    /// With its subresource, as in `pods/exec`.
    pub resource: String,
    pub group: String,
    pub verb: String,
}

impl Right {
    pub fn new(namespace: Option<&str>, group: &str, resource: &str, verb: &str) -> Right {
        Right {
            namespace: namespace.map(Into::into),
            resource: resource.into(),
            group: group.into(),
            verb: verb.into(),
        }
    }

    /// As reviews ask for it.
    pub fn attributes(&self) -> ResourceAttributes {
        let (resource, sub) = match self.resource.split_once('/') {
            Some((resource, sub)) => (resource, Some(sub)),
            None => (self.resource.as_str(), None),
        };
        ResourceAttributes {
            namespace: self.namespace.clone(),
            group: Some(self.group.clone()),
            resource: Some(resource.into()),
            subresource: sub.map(Into::into),
            verb: Some(self.verb.clone()),
            ..ResourceAttributes::default()
        }
    }
}

/// The needed rights that the user lacks. A user cannot create or bind a role with more rights than their own
/// without the verbs escalate and bind.
pub async fn missing(
    scope: &Scope<'_>,
    mut needed: Vec<Right>,
    roles: &[Value],
) -> anyhow::Result<Vec<Right>> {
    let held = held(scope).await;
    if !granted(roles).iter().all(|right| covered(&held, right)) {
        needed.push(Right::new(None, RBAC, "clusterroles", "escalate"));
        needed.push(Right::new(None, RBAC, "clusterroles", "bind"));
    }
    needed.retain(|right| !covered(&held, right));
    needed.sort();
    needed.dedup();
    let asked = needed
        .into_iter()
        .map(async |right| (allowed(scope, &right).await, right));
    let answers = futures::stream::iter(asked)
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let denied = answers.await.into_iter().filter(|(allowed, _)| !allowed);
    Ok(denied.map(|(_, right)| right).collect())
}

/// The user's cluster-wide rights; empty if the server does not answer.
async fn held(scope: &Scope<'_>) -> Vec<ResourceRule> {
    let reviews = Api::<SelfSubjectRulesReview>::all(scope.cluster.client.clone());
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(EVERYWHERE.into()),
        },
        ..SelfSubjectRulesReview::default()
    };
    let object = ObjectId::cluster_wide("SelfSubjectRulesReview", EVERYWHERE);
    let params = PostParams::default();
    let answer = send(scope, &object, || reviews.create(&params, &review)).await;
    let status = answer.ok().and_then(|answer| answer.status);
    status.map(|s| s.resource_rules).unwrap_or_default()
}

/// Whether the user has a right. If the server does not answer, assume so: the write will fail otherwise.
async fn allowed(scope: &Scope<'_>, right: &Right) -> bool {
    let reviews = Api::<SelfSubjectAccessReview>::all(scope.cluster.client.clone());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(right.attributes()),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let object = ObjectId::cluster_wide("SelfSubjectAccessReview", &right.resource);
    let params = PostParams::default();
    let answer = send(scope, &object, || reviews.create(&params, &review)).await;
    answer.map_or(true, |answer| answer.status.is_none_or(|s| s.allowed))
}

fn covered(held: &[ResourceRule], right: &Right) -> bool {
    let any_name = |rule: &&ResourceRule| rule.resource_names.as_ref().is_none_or(Vec::is_empty);
    held.iter().filter(any_name).any(|rule| {
        has(&rule.verbs, &right.verb)
            && has(rule.api_groups.as_deref().unwrap_or_default(), &right.group)
            && has(
                rule.resources.as_deref().unwrap_or_default(),
                &right.resource,
            )
    })
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

/// The rights that these ClusterRoles grant.
fn granted(roles: &[Value]) -> Vec<Right> {
    let words = |value: &Value| -> Vec<String> {
        let words = value.as_array().into_iter().flatten();
        words.filter_map(|w| w.as_str()).map(Into::into).collect()
    };
    let mut rights = Vec::new();
    let rules = roles.iter().filter_map(|role| role["rules"].as_array());
    for rule in rules.flatten() {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    rights.push(Right::new(None, &group, &resource, &verb));
                }
            }
        }
    }
    rights
}

/// One line for each kind and namespace, as in "get, patch deployments.apps in kiali".
pub fn lines(rights: &[Right]) -> Vec<String> {
    let same = |a: &Right, b: &Right| {
        (&a.namespace, &a.resource, &a.group) == (&b.namespace, &b.resource, &b.group)
    };
    let line = |rights: &[Right]| {
        let verbs = rights.iter().map(|r| r.verb.as_str()).collect::<Vec<_>>();
        let Right {
            namespace,
            resource,
            group,
            ..
        } = &rights[0];
        let dot = if group.is_empty() { "" } else { "." };
        let place = namespace.as_ref().map(|n| format!(" in {n}"));
        let place = place.unwrap_or_default();
        format!("{} {resource}{dot}{group}{place}", verbs.join(", "))
    };
    rights.chunk_by(same).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(value: Value) -> Vec<ResourceRule> {
        vec![serde_json::from_value(value).unwrap()]
    }

    #[test]
    fn a_rule_covers_its_resources_and_a_star_covers_all() {
        let exec = Right::new(Some("kiali"), "", "pods/exec", "get");
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        assert!(covered(&rule(all), &exec));
        for other in [
            json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}),
            json!({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["pods/exec"]}),
            json!({"verbs": ["create"], "apiGroups": [""], "resources": ["pods/exec"]}),
            json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["a"]}),
        ] {
            assert!(!covered(&rule(other.clone()), &exec), "{other}");
        }
    }

    #[test]
    fn each_kind_is_one_line() {
        let right = |verb| Right::new(Some("kiali"), "apps", "deployments", verb);
        let rights = [
            Right::new(None, "", "namespaces", "get"),
            right("get"),
            right("patch"),
        ];
        assert_eq!(
            lines(&rights),
            ["get namespaces", "get, patch deployments.apps in kiali"]
        );
    }
}
