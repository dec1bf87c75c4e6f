//! Whether the server has the kinds that expose each Prometheus.

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;

use super::Finding;
use crate::code::Code;
use crate::k8s::Scope;
use crate::k8s::request::send_opt;
use crate::progress::ObjectId;

const GATEWAY_API: &str = "gateway.networking.k8s.io";
/// The version that is tested.
const GATEWAY_CRDS: &str =
    "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.5.1/standard-install.yaml";

/// Gateways and HTTPRoutes, in the API version that an install writes.
pub async fn check(scope: &Scope<'_>) -> Result<Vec<Finding>> {
    let client = &scope.cluster.client;
    let version = format!("{GATEWAY_API}/v1");
    let id = ObjectId::cluster_wide("API", &version);
    let served = send_opt(scope, &id, || client.list_api_group_resources(&version)).await?;
    let (code, cause) = match served {
        Some(served) => {
            let lacks = |kind: &&str| !served.resources.iter().any(|r| r.kind == *kind);
            let lacking = ["Gateway", "HTTPRoute"].into_iter().filter(lacks);
            match lacking.collect::<Vec<_>>().as_slice() {
                [] => return Ok(Vec::new()),
                kinds => (
                    Code::NoGatewayApi,
                    format!("has no {}", kinds.join(" and no ")),
                ),
            }
        }
        None => match older(scope).await? {
            Some(versions) => {
                let cause = format!("is too old: {versions} is served, and v1 is needed");
                (Code::OldGatewayApi, cause)
            }
            None => (Code::NoGatewayApi, "its CRDs are missing".into()),
        },
    };
    let object = ObjectId::cluster_wide("API", GATEWAY_API);
    let finding = Finding::new(code, scope.cluster, object, cause);
    let crds = format!("apply --server-side -f {GATEWAY_CRDS}");
    Ok(vec![finding.kubectl(scope.cluster, &crds)])
}

async fn older(scope: &Scope<'_>) -> Result<Option<String>> {
    let id = ObjectId::cluster_wide("API", GATEWAY_API);
    let group = send_opt(scope, &id, async || {
        let request = http::Request::get(format!("/apis/{GATEWAY_API}")).body(Vec::new());
        let request = request.map_err(kube::Error::HttpError)?;
        scope.cluster.client.request::<APIGroup>(request).await
    });
    let versions = |group: APIGroup| {
        let versions = group.versions.into_iter().map(|v| v.version);
        versions.collect::<Vec<_>>().join(", ")
    };
    Ok(group.await?.map(versions))
}
