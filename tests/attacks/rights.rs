//! What anyone who can reach Kiali may do with its rights. This is not prevented but documented.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;

use ambikiali_sandbox::Cluster;

use crate::support::{BOTH, get, on_two_clusters};

const ACCOUNT: &str = "system:serviceaccount:kiali:kiali-service-account";

async fn may(cluster: &Cluster, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
    let reviews = Api::<SubjectAccessReview>::all(cluster.client());
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(ACCOUNT.into()),
            resource_attributes: Some(ResourceAttributes {
                verb: Some(verb.into()),
                group: Some(group.into()),
                resource: Some(resource.into()),
                namespace: Some(namespace.into()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = reviews.create(&PostParams::default(), &review).await;
    answer.expect("an answer").status.expect("a status").allowed
}

#[test]
fn attack_10_what_kiali_may_do_is_what_check_and_explain_say() {
    on_two_clusters(async |clusters| {
        let check = [&["check"], &BOTH[..], &["--strict"]].concat();
        let ended = clusters.run(&check).await.succeeded();
        assert_eq!(ended.stdout, "Ready to install\n");
        let said = "note[AK1431]: anyone who can reach Kiali on cluster1 is effectively cluster-admin in every cluster: ambikiali explain AK1431\n";
        assert!(ended.stderr.contains(said), "{ended:#?}");
        let told = clusters
            .run(&["explain", "AK1431"])
            .await
            .succeeded()
            .stdout;
        clusters.installed().await;
        for cluster in [clusters.home(), clusters.remote()] {
            for (group, resource, word) in [
                ("apps", "deployments", "Deployments"),
                ("apps", "daemonsets", "DaemonSets"),
                ("apps", "statefulsets", "StatefulSets"),
                ("batch", "jobs", "Jobs"),
                ("", "pods", "pods"),
                ("", "services", "Services"),
                ("", "namespaces", "namespaces"),
            ] {
                assert!(
                    may(cluster, "patch", group, resource, "kube-system").await,
                    "{resource}"
                );
                let line = told.split("patch ").nth(1).expect("what may be patched");
                assert!(line.contains(word), "{word} is not told: {told}");
            }
            let policies = ("security.istio.io", "authorizationpolicies");
            for verb in ["create", "delete"] {
                assert!(
                    may(cluster, verb, policies.0, policies.1, "default").await,
                    "{verb}"
                );
            }
            // "nearly everything except Secrets"
            assert!(!may(cluster, "get", "", "secrets", "kube-system").await);
        }
        let token = get(clusters.remote(), "v1", "Secret", "kiali/kiali").await;
        let token = token.expect("a token");
        assert_eq!(token["type"], "kubernetes.io/service-account-token");
        assert!(told.contains("a token that never expires"), "{told}");
        assert!(told.contains("auth.strategy: anonymous"), "{told}");
        clusters.cleaned().await;
    });
}
