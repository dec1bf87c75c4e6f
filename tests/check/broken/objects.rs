//! Foreign objects that break an install.

/// A Kiali CRD with one version and a trivial schema.
macro_rules! kialis {
    ($version:literal, $type:literal) => {
        concat!(
            "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: kialis.kiali.io}
spec:
  group: kiali.io
  names: {kind: Kiali, listKind: KialiList, plural: kialis, singular: kiali}
  scope: Namespaced
  versions:
    - {name: ",
            $version,
            ", served: true, storage: true, schema: {openAPIV3Schema: {type: ",
            $type,
            "}}}\n"
        )
    };
}

pub const OTHER_CLASS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: example.com/controller}
";
pub const OPERATOR: &str = concat!(
    kialis!("v1alpha1", "object"),
    "---
apiVersion: v1
kind: Namespace
metadata: {name: operators}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {name: kiali-operator, namespace: operators, labels: {app.kubernetes.io/name: kiali-operator}}
spec:
  replicas: 0
  selector: {matchLabels: {app: kiali-operator}}
  template:
    metadata: {labels: {app: kiali-operator, version: v1.89.0}}
    spec: {containers: [{name: operator, image: example}]}
"
);
pub const SECOND_ISTIOD: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod-other, namespace: istio-system, labels: {app: istiod}}
spec:
  replicas: 0
  selector: {matchLabels: {app: other}}
  template:
    metadata: {labels: {app: other}}
    spec:
      containers: [{name: discovery, image: example, env: [{name: CLUSTER_ID, value: other}]}]
";
pub const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ambikiali-prometheus}
rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]
";
pub const GATEWAY: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: prometheus-gateway, namespace: istio-system}
spec: {gatewayClassName: of-another, listeners: [{name: http, port: 80, protocol: HTTP}]}
";
pub const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: prometheus, namespace: istio-system}
spec: {ports: [{name: grpc, port: 10901}]}
";
pub const CRD: &str = kialis!("v9", "object");
/// A CRD with the right version but an unusable schema.
pub const CRD_OF_TEXT: &str = kialis!("v1alpha1", "object, properties: {spec: {type: string}}");
