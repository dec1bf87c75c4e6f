//! Row 58: istiod gives up an object after five quick failures, until something about it changes.

use crate::support::{Foreign, INSTALL, output, to_an_install, until, until_refused, unwritten};

/// Rejects the Service that istiod creates for the Gateway, and PROBE.
const NO_SERVICE: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-service}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - {apiGroups: [''], apiVersions: ['*'], operations: [CREATE], resources: [services]}
  validations:
    - {expression: 'object.metadata.name != \"prometheus-gateway-istio\"', message: not now}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-service}
spec: {policyName: no-service, validationActions: [Deny]}
";
const PROBE: &str = "
apiVersion: v1
kind: Service
metadata: {name: prometheus-gateway-istio, namespace: default}
spec: {ports: [{port: 1}]}
";

#[test]
fn fault_58_a_gateway_that_istiod_gave_up_on_is_changed_once_so_that_it_looks_again() {
    to_an_install(async |clusters| {
        let remote = clusters.remote();
        let policy = Foreign::apply(remote, NO_SERVICE).await;
        until_refused(remote, PROBE, true).await;
        let install = clusters.start(&INSTALL);
        until("istiod gives up", async || {
            let complaints = remote.istiod_complaints();
            complaints.iter().any(|line| {
                line.contains("istio-system/prometheus-gateway,")
                    && line.contains("budget exceeded")
            })
        })
        .await;
        policy.removed().await;
        until_refused(remote, PROBE, false).await;
        output(install).await.succeeded();
        let marks = clusters.marks();
        clusters.installed().await;
        unwritten(&marks);
        clusters.run(&["status"]).await.succeeded();
    });
}
