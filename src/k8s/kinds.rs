//! The kinds that we use. A fixed table avoids discovery, which is the slowest request on some clusters.

use anyhow::{Context, Result};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::Value;

use crate::progress::ObjectId;

pub fn gateway() -> ApiResource {
    resource("gateway.networking.k8s.io", "v1", "Gateway")
}

pub fn gateway_class() -> ApiResource {
    // kube derives a wrong plural for names that end with "ss".
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

/// The identity of an object in a manifest.
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

/// The resource of an object in a manifest.
pub fn of(object: &Value) -> Result<ApiResource> {
    let api_version = object["apiVersion"]
        .as_str()
        .context("manifest without apiVersion")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().context("manifest without kind")?;
    Ok(resource(group, version, kind))
}

/// The API for an object in a manifest.
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
    fn plurals_match_the_servers() {
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
    fn the_identity_is_read_from_a_manifest() {
        let object =
            json!({"kind": "Service", "metadata": {"name": "prometheus", "namespace": "kiali"}});
        assert_eq!(id(&object).unwrap().to_string(), "Service kiali/prometheus");
        assert!(id(&json!({"kind": "Service"})).is_err());
    }
}
