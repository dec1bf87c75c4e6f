//! What Kiali's account may do, as the API server answers it: to an administrator, or to the account's own token.

use ambikiali_sandbox::Cluster;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;

const ACCOUNT: &str = "system:serviceaccount:kiali:kiali-service-account";

/// Group, resource and verb of what no Kiali does that only looks.
pub const WRITES: [(&str, &str, &str); 24] = [
    ("", "namespaces", "patch"),
    ("", "pods", "create"),
    ("", "pods", "patch"),
    ("", "pods/exec", "create"),
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "services", "patch"),
    ("apps", "daemonsets", "patch"),
    ("apps", "deployments", "patch"),
    ("apps", "statefulsets", "patch"),
    ("batch", "jobs", "patch"),
    ("gateway.networking.k8s.io", "gateways", "create"),
    ("gateway.networking.k8s.io", "httproutes", "patch"),
    ("gateway.networking.k8s.io", "tlsroutes", "delete"),
    ("networking.istio.io", "destinationrules", "patch"),
    ("networking.istio.io", "virtualservices", "create"),
    ("networking.istio.io", "virtualservices", "delete"),
    ("networking.istio.io", "virtualservices", "patch"),
    ("rbac.authorization.k8s.io", "clusterroles", "create"),
    ("security.istio.io", "authorizationpolicies", "create"),
    ("security.istio.io", "authorizationpolicies", "delete"),
    ("security.istio.io", "authorizationpolicies", "patch"),
    ("security.istio.io", "peerauthentications", "patch"),
    ("telemetry.istio.io", "telemetries", "patch"),
];

fn attributes(verb: &str, group: &str, resource: &str, namespace: &str) -> ResourceAttributes {
    let (resource, sub) = match resource.split_once('/') {
        Some((resource, sub)) => (resource, Some(sub)),
        None => (resource, None),
    };
    ResourceAttributes {
        verb: Some(verb.into()),
        group: Some(group.into()),
        resource: Some(resource.into()),
        subresource: sub.map(Into::into),
        namespace: Some(namespace.into()),
        ..ResourceAttributes::default()
    }
}

/// Whether Kiali's account may do it.
pub async fn may(
    cluster: &Cluster,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: &str,
) -> bool {
    let reviews = Api::<SubjectAccessReview>::all(cluster.client());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(ACCOUNT.into()),
            resource_attributes: Some(attributes(verb, group, resource, namespace)),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer.expect("an answer").status.expect("a status").allowed
}

/// Whether the owner of the token in this Secret may do it in all namespaces.
pub async fn may_as(
    cluster: &Cluster,
    secret: &Value,
    verb: &str,
    group: &str,
    resource: &str,
) -> bool {
    let token = STANDARD.decode(secret["data"]["token"].as_str().expect("a token"));
    let token = String::from_utf8(token.expect("base64")).expect("text");
    let client = cluster.client_with_token(&token).expect("a client");
    let reviews = Api::<SelfSubjectAccessReview>::all(client);
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes(verb, group, resource, "")),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer.expect("an answer").status.expect("a status").allowed
}
