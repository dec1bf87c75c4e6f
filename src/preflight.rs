//! What an install needs of each cluster, asked before its first write: the kinds of the Gateway API,
//! and the right to do all that it will do. Two requests to a cluster whose user is an administrator.

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use serde_json::{Value, json};

use crate::guide::Step;
use crate::install::{Run, planned};
use crate::k8s::request::send_opt;
use crate::k8s::rights::{self, Right};
use crate::k8s::{Scope, kinds};
use crate::mesh::{Cluster, Mesh};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::steps::ISTIO_NAMESPACE;

const GATEWAY_API: &str = "gateway.networking.k8s.io";
/// The version that this was tested with.
const GATEWAY_CRDS: &str =
    "https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.5.1/standard-install.yaml";
/// Kinds of ours that are waited for.
const WATCHED: [&str; 5] = [
    "CustomResourceDefinition",
    "Deployment",
    "Gateway",
    "HTTPRoute",
    "Kiali",
];

/// Refuses with all that lacks in all clusters.
pub async fn check(run: &Run<'_>) -> Result<()> {
    let lacking = try_join_all(run.mesh.all().map(|c| lacking(run, c))).await?;
    let lacking = lacking.into_iter().flatten().collect::<Vec<_>>();
    let causes = lacking.iter().map(ToString::to_string).collect::<Vec<_>>();
    let fixes = lacking.iter().filter_map(|p| p.fix.as_deref());
    let fixes = fixes.collect::<Vec<_>>().join("\n       ");
    match causes.as_slice() {
        [] => Ok(()),
        causes => Err(Problem::new(Exit::Preflight, causes.join("\n"))
            .fix(fixes)
            .into()),
    }
}

async fn lacking(run: &Run<'_>, cluster: &Cluster) -> Result<Vec<Problem>> {
    let scope = run.on(Step::Namespace, cluster);
    let (kinds, rights) = tokio::try_join!(gateway_api(&scope), may(run, &scope))?;
    Ok(kinds.into_iter().chain(rights).collect())
}

/// Gateways and HTTPRoutes in the version that is written.
async fn gateway_api(scope: &Scope<'_>) -> Result<Option<Problem>> {
    let client = &scope.cluster.client;
    let version = format!("{GATEWAY_API}/v1");
    let id = ObjectId::cluster_wide("API", &version);
    let served = send_opt(scope, &id, || client.list_api_group_resources(&version)).await?;
    let why = match served {
        Some(served) => {
            let lacks = |kind: &&str| !served.resources.iter().any(|r| r.kind == *kind);
            let lacking = ["Gateway", "HTTPRoute"].into_iter().filter(lacks);
            match lacking.collect::<Vec<_>>().as_slice() {
                [] => return Ok(None),
                kinds => format!("its Gateway API has no {}", kinds.join(" and no ")),
            }
        }
        None => match older(scope).await? {
            Some(versions) => {
                format!("its Gateway API is too old: it serves {versions}, and v1 is needed")
            }
            None => "the CRDs of the Gateway API are missing".into(),
        },
    };
    let cluster = scope.cluster;
    let problem = Problem::new(Exit::Preflight, format!("{}: {why}", cluster.name));
    Ok(Some(problem.fix(format!(
        "kubectl --context {} apply --server-side -f {GATEWAY_CRDS}",
        cluster.context
    ))))
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

async fn may(run: &Run<'_>, scope: &Scope<'_>) -> Result<Option<Problem>> {
    let home = run.is_home(scope.cluster);
    let objects = objects(run, scope)?;
    let roles = objects.iter().filter(|o| o["kind"] == "ClusterRole");
    let roles = roles.cloned().collect::<Vec<_>>();
    let missing = rights::missing(scope, needed(scope, &objects, home)?, &roles).await?;
    if missing.is_empty() {
        return Ok(None);
    }
    let Scope {
        cluster, namespace, ..
    } = scope;
    let lines = rights::lines(&missing).join("\n  ");
    let cause = format!(
        "{}: the user of context {} lacks rights that an install needs:\n  {lines}",
        cluster.name, cluster.context
    );
    Ok(Some(Problem::new(Exit::Preflight, cause).fix(format!(
        "have these granted, or name the context of an administrator: kubectl --context {} -n {namespace} auth can-i --list",
        cluster.context
    ))))
}

/// Everything that is written to a home or to a remote.
fn objects(run: &Run<'_>, scope: &Scope<'_>) -> Result<Vec<Value>> {
    let planned = planned(run, scope.cluster)?.into_iter();
    let mut objects = planned.map(|(_, object)| object).collect::<Vec<_>>();
    objects.push(scope.record.object(scope.namespace)?);
    if run.is_home(scope.cluster) {
        objects.push(scope.lease.object());
    }
    Ok(objects)
}

fn needed(scope: &Scope<'_>, objects: &[Value], home: bool) -> Result<Vec<Right>> {
    let own = Some(scope.namespace);
    let mut needed = Vec::new();
    for object in objects {
        let kind = kinds::of(object)?;
        let namespace = object["metadata"]["namespace"].as_str();
        let token = object["type"] == json!("kubernetes.io/service-account-token");
        let watch = WATCHED.contains(&kind.kind.as_str()) || token;
        // A server-side apply that makes an object takes both verbs.
        let verbs = ["get", "create", "patch"].into_iter();
        for verb in verbs.chain(watch.then_some("watch")) {
            needed.push(Right::new(namespace, &kind.group, &kind.plural, verb));
        }
    }
    for namespace in [own, Some(ISTIO_NAMESPACE)] {
        needed.push(Right::new(namespace, "", "pods", "list"));
    }
    if home {
        // By WebSocket, which older servers call a get and newer ones a get and a creation.
        for stream in ["pods/exec", "pods/portforward"] {
            needed.extend(["get", "create"].map(|verb| Right::new(own, "", stream, verb)));
        }
    } else {
        let bindings = ("rbac.authorization.k8s.io", "clusterrolebindings");
        needed.push(Right::new(None, bindings.0, bindings.1, "watch"));
    }
    Ok(needed)
}

/// The guide's script copies 127.0.0.1 into Kiali's pod, where it is Kiali itself.
pub fn usable_addresses(mesh: &Mesh, allow_loopback: bool) -> Result<(), Problem> {
    let local = |remote: &&Cluster| remote.endpoint.local_only && !allow_loopback;
    match mesh.remotes.iter().find(local) {
        None => Ok(()),
        Some(remote) => Err(Problem::new(
            Exit::Preflight,
            format!(
                "{}: context {} says its API server is at {}, which inside a pod of {} is the pod itself",
                remote.name, remote.context, remote.endpoint.server, mesh.home.name
            ),
        )
        .fix(format!("name the address that pods of home reach: {} https://HOST:PORT", remote.endpoint.flag))),
    }
}
