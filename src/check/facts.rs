//! Reads what a check needs from one cluster, with concurrent requests. Of Secrets it reads only the metadata.

use std::future::Future;

use anyhow::Result;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::Api;
use kube::api::ListParams;
use kube::core::{DynamicObject, Resource};
use serde::de::DeserializeOwned;

use super::Finding;
use crate::code::Code;
use crate::guide::ISTIO_NAMESPACE;
use crate::k8s::record::Claims;
use crate::k8s::request::send_opt;
use crate::k8s::{Scope, kinds};
use crate::mesh::pages;
use crate::mesh::{Cluster, counting};
use crate::progress::ObjectId;

/// The object, if it exists; or why that is unknown.
pub type Looked<T> = Result<Option<T>, Box<Finding>>;

pub struct Facts<'a> {
    pub cluster: &'a Cluster,
    pub version: Looked<Info>,
    pub class: Looked<DynamicObject>,
    pub istiods: Looked<Vec<Deployment>>,
    pub ztunnels: Looked<Vec<DaemonSet>>,
    pub istio_namespace: Looked<Namespace>,
    /// The namespace of Kiali.
    pub namespace: Looked<Namespace>,
    /// What the record in the cluster says.
    pub claims: Option<Claims>,
    pub mesh_config: Looked<ConfigMap>,
    pub root: Looked<ConfigMap>,
    pub gateways: Looked<Vec<DynamicObject>>,
    /// The Secrets that tell istiod of other clusters.
    pub remote_secrets: Looked<Vec<ObjectMeta>>,
    pub load_balancers: Looked<Vec<Service>>,
    /// Istio's defaults for the objects that it creates for a Gateway.
    pub gateway_defaults: Looked<Vec<ConfigMap>>,
    pub policies: PolicyFacts,
}

/// The policies that apply to pods of an install.
pub struct PolicyFacts {
    /// In the root namespace of the mesh.
    pub authorization: Looked<Vec<DynamicObject>>,
    /// In Istio's namespace.
    pub network: Looked<Vec<NetworkPolicy>>,
    /// In the namespace of Kiali.
    pub own_network: Looked<Vec<NetworkPolicy>>,
}

impl<'a> Facts<'a> {
    pub async fn of(scope: &Scope<'a>) -> Result<Facts<'a>> {
        let client = || scope.cluster.client.clone();
        let classes = Api::<DynamicObject>::all_with(client(), &kinds::gateway_class());
        let gateways = Api::<DynamicObject>::all_with(client(), &kinds::gateway());
        let namespaces = Api::<Namespace>::all(client());
        let of_type = ListParams::default().fields("spec.type=LoadBalancer");
        let istio_maps = Api::<ConfigMap>::namespaced(client(), ISTIO_NAMESPACE);
        let id = ObjectId::cluster_wide("Server", "version");
        let mesh_config = scope.cluster.revision.config_map();
        let version = looked(scope, &id, || scope.cluster.client.apiserver_version());
        let answers = tokio::try_join!(
            version,
            one(scope, &classes, "GatewayClass", "istio"),
            labelled::<Deployment>(scope, Api::all(client()), "Deployments", "app=istiod"),
            labelled::<DaemonSet>(
                scope,
                Api::all(client()),
                "DaemonSets",
                "app.kubernetes.io/name=ztunnel"
            ),
            one(scope, &namespaces, "Namespace", ISTIO_NAMESPACE),
            one(scope, &namespaces, "Namespace", scope.namespace),
            one(scope, &istio_maps, "ConfigMap", &mesh_config),
            one(scope, &istio_maps, "ConfigMap", "istio-ca-root-cert"),
            list(scope, gateways, "Gateways", ListParams::default()),
            remote_secrets(scope),
            list(scope, Api::<Service>::all(client()), "Services", of_type),
            gateway_defaults(scope, istio_maps.clone()),
            policies(scope),
        )?;
        Ok(Facts {
            cluster: scope.cluster,
            version: answers.0,
            class: answers.1,
            istiods: answers
                .2
                .map(|all| all.map(|all| counting(&all, ISTIO_NAMESPACE))),
            ztunnels: answers.3,
            istio_namespace: answers.4,
            namespace: answers.5,
            claims: scope.record.claims(),
            mesh_config: answers.6,
            root: answers.7,
            gateways: answers.8,
            remote_secrets: answers.9,
            load_balancers: answers.10,
            gateway_defaults: answers.11,
            policies: answers.12,
        })
    }
}

async fn gateway_defaults(
    scope: &Scope<'_>,
    maps: Api<ConfigMap>,
) -> Result<Looked<Vec<ConfigMap>>> {
    let defaults = ListParams::default().labels("gateway.istio.io/defaults-for-class=istio");
    let all = ObjectId::new("ConfigMaps", ISTIO_NAMESPACE, "all");
    found(scope, maps, all, defaults).await
}

async fn policies(scope: &Scope<'_>) -> Result<PolicyFacts> {
    let client = || scope.cluster.client.clone();
    let kind = kinds::authorization_policy();
    let policies = Api::<DynamicObject>::namespaced_with(client(), ISTIO_NAMESPACE, &kind);
    let networks = async |namespace: &str| {
        let api = Api::<NetworkPolicy>::namespaced(client(), namespace);
        let all = ObjectId::new("NetworkPolicies", namespace, "all");
        found(scope, api, all, ListParams::default()).await
    };
    let all = ObjectId::new("AuthorizationPolicies", ISTIO_NAMESPACE, "all");
    let (authorization, network, own_network) = tokio::try_join!(
        found(scope, policies, all, ListParams::default()),
        networks(ISTIO_NAMESPACE),
        networks(scope.namespace),
    )?;
    Ok(PolicyFacts {
        authorization,
        network,
        own_network,
    })
}

async fn one<K>(scope: &Scope<'_>, api: &Api<K>, kind: &str, name: &str) -> Result<Looked<K>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    looked(scope, &ObjectId::cluster_wide(kind, name), || api.get(name)).await
}

async fn labelled<K>(
    scope: &Scope<'_>,
    api: Api<K>,
    kind: &str,
    label: &str,
) -> Result<Looked<Vec<K>>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
    K: Resource<Scope = NamespaceResourceScope>,
{
    list(scope, api, kind, ListParams::default().labels(label)).await
}

async fn list<K>(
    scope: &Scope<'_>,
    api: Api<K>,
    kind: &str,
    params: ListParams,
) -> Result<Looked<Vec<K>>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let all = ObjectId::cluster_wide(kind, "of all namespaces");
    found(scope, api, all, params).await
}

async fn found<K>(
    scope: &Scope<'_>,
    api: Api<K>,
    all: ObjectId,
    params: ListParams,
) -> Result<Looked<Vec<K>>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    let (api, params) = (&api, &params);
    looked(scope, &all, async || pages::list(api, params).await).await
}

async fn remote_secrets(scope: &Scope<'_>) -> Result<Looked<Vec<ObjectMeta>>> {
    let api = Api::<Secret>::namespaced(scope.cluster.client.clone(), ISTIO_NAMESPACE);
    let label = "istio/multiCluster=true";
    let params = ListParams::default().labels(label);
    let all = ObjectId::new("Secrets", ISTIO_NAMESPACE, label);
    let (api, params) = (&api, &params);
    looked(scope, &all, async || {
        let found = pages::list_metadata(api, params).await?;
        Ok(found.into_iter().map(|secret| secret.metadata).collect())
    })
    .await
}

async fn looked<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Result<Looked<T>>
where
    F: Future<Output = kube::Result<T>>,
{
    match send_opt(scope, object, request).await {
        Ok(found) => Ok(Ok(found)),
        Err(refusal) if refusal.status().is_some_and(|status| status.code == 403) => {
            let cause = refusal.text();
            Ok(Err(Box::new(
                Finding::new(Code::NotLookedAt, scope.cluster, object.clone(), cause)
                    .kubectl(scope.cluster, "auth can-i --list"),
            )))
        }
        Err(refusal) => Err(refusal.into()),
    }
}
