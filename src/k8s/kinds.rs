//! The kinds we deal in. A fixed table needs no discovery, which on some clusters is the slowest
//! request of all.

use anyhow::{Context, Result};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::Value;

use crate::progress::ObjectId;

pub fn gateway() -> ApiResource {
    resource("gateway.networking.k8s.io", "v1", "Gateway")
}

pub fn gateway_class() -> ApiResource {
    // "ss" has a plural of its own.
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "GatewayClass");
    ApiResource::from_gvk_with_plural(&kind, "gatewayclasses")
}

pub fn http_route() -> ApiResource {
    resource("gateway.networking.k8s.io", "v1", "HTTPRoute")
}

pub fn authorization_policy() -> ApiResource {
    let kind = GroupVersionKind::gvk("security.istio.io", "v1", "AuthorizationPolicy");
    ApiResource::from_gvk_with_plural(&kind, "authorizationpolicies")
}

pub fn kiali() -> ApiResource {
    resource("kiali.io", "v1alpha1", "Kiali")
}

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// The name of a manifest's object.
pub fn id(object: &Value) -> Result<ObjectId> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    Ok(ObjectId {
        kind: text("/kind").context("manifest without kind")?.into(),
        namespace: text("/metadata/namespace").map(Into::into),
        name: text("/metadata/name")
            .context("manifest without name")?
            .into(),
    })
}

/// The resource of a manifest's object.
pub fn of(object: &Value) -> Result<ApiResource> {
    let api_version = object["apiVersion"]
        .as_str()
        .context("manifest without apiVersion")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().context("manifest without kind")?;
    Ok(resource(group, version, kind))
}

/// The collection that a manifest's object belongs to.
pub fn api(client: &Client, object: &Value) -> Result<Api<DynamicObject>> {
    let resource = of(object)?;
    Ok(
        match object
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
        {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plurals_are_the_servers() {
        for (api_version, kind, path) in [
            ("v1", "Namespace", "/api/v1/namespaces"),
            ("v1", "ConfigMap", "/api/v1/configmaps"),
            ("apps/v1", "Deployment", "/apis/apps/v1/deployments"),
            (
                "gateway.networking.k8s.io/v1",
                "Gateway",
                "/apis/gateway.networking.k8s.io/v1/gateways",
            ),
            (
                "gateway.networking.k8s.io/v1",
                "HTTPRoute",
                "/apis/gateway.networking.k8s.io/v1/httproutes",
            ),
            (
                "kiali.io/v1alpha1",
                "Kiali",
                "/apis/kiali.io/v1alpha1/kialis",
            ),
            (
                "rbac.authorization.k8s.io/v1",
                "ClusterRoleBinding",
                "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            ),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            ),
        ] {
            let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
            let resource = resource(group, version, kind);
            let prefix = if group.is_empty() {
                "/api/v1".into()
            } else {
                format!("/apis/{group}/{version}")
            };
            assert_eq!(format!("{prefix}/{}", resource.plural), path);
        }
    }

    #[test]
    fn a_manifest_names_itself() {
        let object =
            json!({"kind": "Service", "metadata": {"name": "prometheus", "namespace": "kiali"}});
        assert_eq!(id(&object).unwrap().to_string(), "Service kiali/prometheus");
        assert!(id(&json!({"kind": "Service"})).is_err());
    }
}
