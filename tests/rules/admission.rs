//! Rows 24 to 26: writes that are rejected because of their content.

use ambikiali_sandbox::audit::Mark;

use crate::support::{
    Clusters, Foreign, get, on_two_clusters, to_an_install, until_refused, unwritten,
};

/// The CRD of another installation with a stricter schema.
const STRICT: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: kialis.kiali.io}
spec:
  group: kiali.io
  scope: Namespaced
  names: {kind: Kiali, listKind: KialiList, plural: kialis, singular: kiali}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              x-kubernetes-preserve-unknown-fields: true
              properties:
                auth:
                  type: object
                  properties: {strategy: {type: string, enum: [STRATEGIES]}}
            status: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

const KIALI: &str = "
apiVersion: kiali.io/v1alpha1
kind: Kiali
metadata: {name: try, namespace: default}
spec: {auth: {strategy: anonymous}}
";

const POLICY: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-routes}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [gateway.networking.k8s.io]
        apiVersions: ['*']
        operations: [CREATE, UPDATE]
        resources: [httproutes]
  validations: [{expression: 'false', message: "routes are the network team's"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-routes-anywhere}
spec: {policyName: no-routes, validationActions: [Deny]}
"#;

const WEBHOOK: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: route-review}
webhooks:
  - name: routes.review.example.com
    clientConfig: {url: 'https://127.0.0.1:1/review'}
    failurePolicy: Fail
    timeoutSeconds: 1
    sideEffects: None
    admissionReviewVersions: [v1]
    rules:
      - apiGroups: [gateway.networking.k8s.io]
        apiVersions: ['*']
        operations: [CREATE, UPDATE]
        resources: [httproutes]
";

const ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: try, namespace: default}
spec: {parentRefs: [{name: nobody}]}
";

/// Without this flag, the check would stop the install.
const IN_SPITE: [&str; 2] = ["--skip-check", "AK1408"];

/// Checks that the finding is reported before the first write, because the dry run is rejected like the write.
async fn told_before_the_first_write(clusters: &Clusters, said: &str) {
    let marks = clusters.marks();
    let ended = clusters.install(&[]).await.exited(3);
    unwritten(&marks);
    let finding = format!("[AK1408] cluster2: HTTPRoute istio-system/prometheus: {said}");
    assert_eq!(ended.error(), finding + "nothing was written\n");
}

/// Returns the status codes of our writes of this resource since the mark.
fn answers(mark: &Mark, resource: &str) -> Vec<u16> {
    let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
    let writes = writes.iter().filter(|w| w.resource == resource);
    writes.map(|write| write.code).collect()
}

#[test]
fn fault_24_a_bad_value_is_named_and_never_taken_for_a_field_that_needs_another_object() {
    on_two_clusters(async |clusters| {
        let (home, [mark, _]) = (clusters.home(), clusters.marks());
        let strict = STRICT.replace("STRATEGIES", "token, openid");
        Foreign::apply(home, &strict).await.is("Established").await;
        until_refused(home, KIALI, true).await;
        let ended = clusters.install(&[]).await.exited(1);
        assert_eq!(
            ended.error(),
            "\
kiali: cluster1: Kiali kiali/kiali: Kiali.kiali.io \"kiali\" is invalid: spec.auth.strategy: Unsupported value: \"anonymous\": supported values: \"token\", \"openid\"
  fix: kubectl --context cluster1 explain kiali
"
        );
        assert_eq!(answers(&mark, "kialis"), [422], "once, and nothing else");
        let deleted = mark.requests().unwrap().by_agent("ambikiali").writes();
        assert!(deleted.iter().all(|write| write.verb != "delete"));

        let loose = STRICT.replace("STRATEGIES", "token, openid, anonymous");
        let foreign = Foreign::apply(home, &loose).await;
        until_refused(home, KIALI, false).await;
        clusters.installed().await;
        clusters.cleaned().await;
        foreign.removed().await;
    });
}

#[test]
fn fault_25_a_policy_that_denies_is_named_with_its_message_and_the_rest_is_not_half_registered() {
    to_an_install(async |clusters| {
        let foreign = Foreign::apply(clusters.remote(), POLICY).await;
        until_refused(clusters.remote(), ROUTE, true).await;
        told_before_the_first_write(
            clusters,
            "\
httproutes.gateway.networking.k8s.io \"prometheus\" is forbidden: ValidatingAdmissionPolicy 'no-routes' with binding 'no-routes-anywhere' denied request: routes are the network team's
  fix: kubectl --context cluster2 get validatingadmissionpolicy no-routes -o yaml
",
        )
        .await;
        let [_, mark] = clusters.marks();
        let ended = clusters.install(&IN_SPITE).await.exited(1);
        assert_eq!(
            ended.error(),
            "\
expose prometheus: cluster2: HTTPRoute istio-system/prometheus: httproutes.gateway.networking.k8s.io \"prometheus\" is forbidden: ValidatingAdmissionPolicy 'no-routes' with binding 'no-routes-anywhere' denied request: routes are the network team's
  fix: kubectl --context cluster2 get validatingadmissionpolicy no-routes -o yaml
"
        );
        assert_eq!(
            answers(&mark, "httproutes"),
            [422],
            "once, and nothing else"
        );
        nothing_is_given_to_kiali(clusters).await;

        foreign.removed().await;
        until_refused(clusters.remote(), ROUTE, false).await;
        clusters.installed().await;
    });
}

#[test]
fn fault_26_a_webhook_that_is_dead_is_tried_again_and_named_with_its_configuration() {
    to_an_install(async |clusters| {
        let foreign = Foreign::apply(clusters.remote(), WEBHOOK).await;
        until_refused(clusters.remote(), ROUTE, true).await;
        told_before_the_first_write(
            clusters,
            "\
Internal error occurred: failed calling webhook \"routes.review.example.com\": failed to call webhook: Post \"https://127.0.0.1:1/review?timeout=1s\": dial tcp 127.0.0.1:1: connect: connection refused; the webhook is in ValidatingWebhookConfiguration route-review
  fix: kubectl --context cluster2 get validatingwebhookconfiguration route-review -o yaml
",
        )
        .await;
        let [_, mark] = clusters.marks();
        let ended = clusters.install(&IN_SPITE).await.exited(1);
        assert_eq!(
            ended.error(),
            "\
expose prometheus: cluster2: HTTPRoute istio-system/prometheus: Internal error occurred: failed calling webhook \"routes.review.example.com\": failed to call webhook: Post \"https://127.0.0.1:1/review?timeout=1s\": dial tcp 127.0.0.1:1: connect: connection refused; the webhook is in ValidatingWebhookConfiguration route-review
  fix: kubectl --context cluster2 get validatingwebhookconfiguration route-review -o yaml
"
        );
        assert_eq!(answers(&mark, "httproutes"), [500; 6]);
        nothing_is_given_to_kiali(clusters).await;

        foreign.removed().await;
        until_refused(clusters.remote(), ROUTE, false).await;
        clusters.installed().await;
    });
}

async fn nothing_is_given_to_kiali(clusters: &Clusters) {
    let name = "kiali/kiali-multi-cluster-secret";
    assert_eq!(get(clusters.home(), "v1", "Secret", name).await, None);
}
