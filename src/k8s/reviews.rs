//! Whether Kiali's account may change anything in a cluster. The API server answers this by access reviews, so every
//! role and binding counts, whoever made it.

use futures::StreamExt;
use futures::TryStreamExt;
use k8s_openapi::api::authorization::v1::{
    SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::Scope;
use super::kiali_cr::ACCOUNT;
use super::request::{RequestError, send};
use super::rights::Right;
use crate::deadline::Deadline;
use crate::mesh::retry::{Cause, persist};
use crate::progress::ObjectId;

/// Limit for concurrent requests.
const AT_ONCE: usize = 8;

/// What would make more of any account. No Kiali is granted it.
const NEVER: [(&str, &str, &[&str]); 5] = [
    ("", "pods", &["create"]),
    ("", "pods/exec", &["create"]),
    ("", "secrets", &["get"]),
    ("apps", "deployments", &["create"]),
    (
        "rbac.authorization.k8s.io",
        "clusterrolebindings",
        &["create"],
    ),
];
/// What a Kiali that may write is granted. Kinds of a group that only `*` grants are represented by one of them.
const CHANGES: [(&str, &str, &[&str]); 12] = [
    ("", "namespaces", &["patch"]),
    ("", "pods", &["patch"]),
    ("", "services", &["patch"]),
    ("apps", "daemonsets", &["patch"]),
    ("apps", "deployments", &["patch"]),
    ("apps", "statefulsets", &["patch"]),
    ("batch", "jobs", &["patch"]),
    ("extensions.istio.io", "wasmplugins", WRITE),
    ("gateway.networking.k8s.io", "httproutes", WRITE),
    ("networking.istio.io", "virtualservices", WRITE),
    ("security.istio.io", "authorizationpolicies", WRITE),
    ("telemetry.istio.io", "telemetries", WRITE),
];
const WRITE: &[&str] = &["create", "delete", "patch"];
const WHOLE_CLUSTER: [&str; 2] = ["namespaces", "clusterrolebindings"];

/// The changes that are asked about: in Kiali's namespace, where a Role may grant more than everywhere.
pub fn changes(namespace: &str) -> Vec<Right> {
    let mut changes = Vec::new();
    for (group, resource, verbs) in NEVER.iter().chain(&CHANGES) {
        let namespace = Some(namespace).filter(|_| !WHOLE_CLUSTER.contains(resource));
        let each = verbs.iter();
        changes.extend(each.map(|verb| Right::new(namespace, group, resource, verb)));
    }
    changes
}

/// Whether not even a Kiali that may write is granted it.
pub fn is_never_granted(right: &Right) -> bool {
    NEVER.iter().any(|(group, resource, verbs)| {
        (right.group.as_str(), right.resource.as_str()) == (*group, *resource)
            && verbs.contains(&right.verb.as_str())
    })
}

/// The changes that the owner of a token may make. Anybody may ask this about himself.
pub async fn own(
    client: &Client,
    namespace: &str,
    deadline: Deadline,
) -> Result<Vec<Right>, Cause> {
    let reviews = Api::<SelfSubjectAccessReview>::all(client.clone());
    let params = PostParams::default();
    allowed(namespace, async |right| {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(right.attributes()),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = persist(deadline, || reviews.create(&params, &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    })
    .await
}

/// The changes that Kiali's account in this cluster may make, asked with the user's own rights: its token is in no
/// Secret.
pub async fn of_account(scope: &Scope<'_>) -> Result<Vec<Right>, RequestError> {
    let reviews = Api::<SubjectAccessReview>::all(scope.cluster.client.clone());
    let params = PostParams::default();
    let namespace = scope.namespace;
    let groups = ["system:authenticated", "system:serviceaccounts"].map(Into::into);
    let own = format!("system:serviceaccounts:{namespace}");
    let groups = groups.into_iter().chain([own]).collect::<Vec<String>>();
    allowed(namespace, async |right| {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{namespace}:{ACCOUNT}")),
                groups: Some(groups.clone()),
                resource_attributes: Some(right.attributes()),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let object = ObjectId::cluster_wide("SubjectAccessReview", &right.resource);
        let answer = send(scope, &object, || reviews.create(&params, &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    })
    .await
}

async fn allowed<E>(
    namespace: &str,
    ask: impl AsyncFn(&Right) -> Result<bool, E>,
) -> Result<Vec<Right>, E> {
    let asked = changes(namespace).into_iter().map(async |right| {
        let allowed = ask(&right).await?;
        Ok(allowed.then_some(right))
    });
    let allowed = futures::stream::iter(asked).buffered(AT_ONCE);
    let allowed = allowed.try_collect::<Vec<_>>().await?;
    Ok(allowed.into_iter().flatten().collect())
}
