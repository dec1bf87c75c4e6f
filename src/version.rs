//! The installed versions in each cluster, read from the images of its Deployments.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::Result;
use futures::future::{join_all, try_join_all};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::guide::{ISTIO_NAMESPACE, Step};
use crate::k8s::Scope;
use crate::k8s::request::{send, send_opt};
use crate::mesh::{Cluster, ClusterName};
use crate::progress::ObjectId;
use crate::run::Run;
use crate::visible;

/// Limit for what `verify` reads beside its hops.
const PATIENCE: Duration = Duration::from_secs(10);
/// More revisions of Istio than a cluster has in use.
const MOST: u32 = 8;

#[derive(Clone, Debug, Serialize)]
pub struct Installed {
    pub cluster: ClusterName,
    pub object: ObjectId,
    pub image: String,
}

pub async fn installed(run: &Run<'_>) -> Result<Vec<Installed>> {
    let all = try_join_all(run.mesh.all().map(|cluster| of(run, cluster))).await?;
    Ok(all.into_iter().flatten().collect())
}

/// The same and Istio's control plane and ztunnels: what the requests of `verify` and their metrics pass. Leaves out what
/// cannot be read; the hops tell why.
pub async fn running(run: &Run<'_>) -> Vec<Installed> {
    let all = run.mesh.all().map(async |cluster| {
        let scope = &run.on(Step::Namespace, cluster);
        let client = || cluster.client.clone();
        let (istiods, ztunnels, ours) = tokio::join!(
            labelled(scope, Api::all(client()), "app=istiod", of_deployment),
            labelled(
                scope,
                Api::all(client()),
                "app.kubernetes.io/name=ztunnel",
                |set: DaemonSet| set.spec.template
            ),
            timeout(PATIENCE, of(run, cluster)),
        );
        let ours = ours.ok().and_then(Result::ok).unwrap_or_default();
        [istiods, ztunnels, ours].concat()
    });
    let mut all = join_all(all).await.concat();
    for one in &mut all {
        one.image = visible::short(&one.image, visible::SAID).into_owned();
    }
    all
}

async fn labelled<K>(
    scope: &Scope<'_>,
    api: Api<K>,
    label: &str,
    pods: fn(K) -> PodTemplateSpec,
) -> Vec<Installed>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let kind = K::kind(&());
    let all = ObjectId::cluster_wide(&kind, label);
    let list = ListParams::default().labels(label).limit(MOST);
    let found = send(scope, &all, || api.list(&list));
    let found = timeout(PATIENCE, found).await.ok().and_then(Result::ok);
    let found = found.into_iter().flatten().take(MOST as usize);
    let installed = found.filter_map(|one| {
        let namespace = one.namespace().unwrap_or_default();
        Some(Installed {
            cluster: scope.cluster.name.clone(),
            object: ObjectId::new(&kind, &namespace, &one.name_any()),
            image: image(pods(one))?,
        })
    });
    installed.collect()
}

async fn of(run: &Run<'_>, cluster: &Cluster) -> Result<Vec<Installed>> {
    let scope = run.on(Step::Namespace, cluster);
    let deployments = [
        (ISTIO_NAMESPACE, "prometheus"),
        (run.namespace, "prometheus"),
        (run.namespace, "kiali-operator"),
        (run.namespace, "kiali"),
    ];
    let (scope, client) = (&scope, &cluster.client);
    let found = deployments.map(async |(namespace, name)| {
        let api = Api::<Deployment>::namespaced(client.clone(), namespace);
        let object = ObjectId::new("Deployment", namespace, name);
        let found = send_opt(scope, &object, || api.get(name)).await?;
        anyhow::Ok(found.and_then(|deployment| {
            Some(Installed {
                cluster: cluster.name.clone(),
                image: image(of_deployment(deployment))?,
                object,
            })
        }))
    });
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}

fn of_deployment(deployment: Deployment) -> PodTemplateSpec {
    deployment.spec.template
}

fn image(pods: PodTemplateSpec) -> Option<String> {
    pods.spec?.containers.into_iter().next()?.image
}
