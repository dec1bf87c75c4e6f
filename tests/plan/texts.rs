//! The expected text of plans.

pub const FIRST: &str = "\
cluster1
  create   namespace           ConfigMap kiali/ambikiali-record
  hold     namespace           Lease kiali/ambikiali
  create   namespace           Namespace kiali
  create   cluster prometheus  ClusterRole ambikiali-prometheus
  create   cluster prometheus  ClusterRoleBinding ambikiali-prometheus
  create   cluster prometheus  ConfigMap istio-system/prometheus
  create   cluster prometheus  Deployment istio-system/prometheus
  create   cluster prometheus  Service istio-system/prometheus
  create   cluster prometheus  ServiceAccount istio-system/prometheus
  create   expose prometheus   Gateway istio-system/prometheus-gateway
  create   expose prometheus   HTTPRoute istio-system/prometheus
  create   expose prometheus   Secret istio-system/prometheus-gateway-tls
  create   aggregate metrics   ConfigMap kiali/prometheus-config
  create   aggregate metrics   Deployment kiali/prometheus
  create   aggregate metrics   Secret kiali/prometheus-tls
  create   aggregate metrics   Service kiali/prometheus
  create   kiali operator      ClusterRole kiali-operator
  create   kiali operator      ClusterRoleBinding kiali-operator
  create   kiali operator      CustomResourceDefinition kialis.kiali.io
  create   kiali operator      Deployment kiali/kiali-operator
  create   kiali operator      ServiceAccount kiali/kiali-operator
  create   remote secret       Secret kiali/kiali-multi-cluster-secret
  create   kiali               Kiali kiali/kiali
cluster2
  create   namespace           ConfigMap kiali/ambikiali-record
  create   namespace           Namespace kiali
  reuse    cluster prometheus  Service istio-system/prometheus
  create   expose prometheus   Gateway istio-system/prometheus-gateway
  create   expose prometheus   HTTPRoute istio-system/prometheus
  create   expose prometheus   Secret istio-system/prometheus-gateway-tls
  create   kiali operator      ClusterRole kiali-operator
  create   kiali operator      ClusterRoleBinding kiali-operator
  create   kiali operator      CustomResourceDefinition kialis.kiali.io
  create   kiali operator      Deployment kiali/kiali-operator
  create   kiali operator      ServiceAccount kiali/kiali-operator
  create   remote cluster      Kiali kiali/kiali
  create   remote cluster      Secret kiali/kiali
  create   remote cluster      ServiceAccount kiali/kiali-service-account
Plan: 35 to create, 1 reused; nothing was written
";

pub const SECOND: &str = "\
cluster2
  reuse    cluster prometheus  Service istio-system/prometheus
Plan: 1 reused, 33 unchanged; nothing was written
";

pub const DRIFT: &str = "\
cluster1
  change   namespace           ConfigMap kiali/ambikiali-record
  hold     namespace           Lease kiali/ambikiali
  create   expose prometheus   HTTPRoute istio-system/prometheus
  change   aggregate metrics   ConfigMap kiali/prometheus-config
             .data['prometheus.yml']:
               -   honor_labels: false
               +   honor_labels: true
  change   aggregate metrics   Deployment kiali/prometheus
             .spec.template.metadata.annotations['ambikiali.dev/config-version']
cluster2
  reuse    cluster prometheus  Service istio-system/prometheus
Plan: 1 to create, 3 to change, 1 reused, 30 unchanged; nothing was written
";

pub const OPTION: &str = "\
cluster1
  change   namespace           ConfigMap kiali/ambikiali-record
  hold     namespace           Lease kiali/ambikiali
  change   cluster prometheus  Deployment istio-system/prometheus
             .spec.template.spec.containers[0].image: \"prom/prometheus:v3.12.0@sha256:69f5241418838263316593f7274a304b095c40bcf22e57272865da91bd60a8ac\" -> \"prom/prometheus:v3.11.0\"
  change   aggregate metrics   Deployment kiali/prometheus
             .spec.template.spec.containers[0].image: \"prom/prometheus:v3.12.0@sha256:69f5241418838263316593f7274a304b095c40bcf22e57272865da91bd60a8ac\" -> \"prom/prometheus:v3.11.0\"
cluster2
  reuse    cluster prometheus  Service istio-system/prometheus
Plan: 3 to change, 1 reused, 31 unchanged; nothing was written
";

/// A cluster that switches to the user's own Prometheus.
pub const UNEXPOSED: &str = "\
cluster1
  change   namespace           ConfigMap kiali/ambikiali-record
  hold     namespace           Lease kiali/ambikiali
  change   aggregate metrics   ConfigMap kiali/prometheus-config
  change   aggregate metrics   Deployment kiali/prometheus
  change   aggregate metrics   Secret kiali/prometheus-tls
cluster2
  change   namespace           ConfigMap kiali/ambikiali-record
  delete   expose prometheus   Gateway istio-system/prometheus-gateway
  delete   expose prometheus   HTTPRoute istio-system/prometheus
  delete   expose prometheus   Secret istio-system/prometheus-gateway-tls
Plan: 5 to change, 3 to delete, 27 unchanged; nothing was written
";

/// A remote that switches back to an installed Prometheus.
pub const EXPOSED_AGAIN: &str = "\
cluster1
  change   namespace           ConfigMap kiali/ambikiali-record
  hold     namespace           Lease kiali/ambikiali
  change   aggregate metrics   ConfigMap kiali/prometheus-config
  change   aggregate metrics   Deployment kiali/prometheus
  change   aggregate metrics   Secret kiali/prometheus-tls
cluster2
  change   namespace           ConfigMap kiali/ambikiali-record
  reuse    cluster prometheus  Service istio-system/prometheus
  create   expose prometheus   Gateway istio-system/prometheus-gateway
  create   expose prometheus   HTTPRoute istio-system/prometheus
  create   expose prometheus   Secret istio-system/prometheus-gateway-tls
Plan: 3 to create, 5 to change, 1 reused, 27 unchanged; nothing was written
";
