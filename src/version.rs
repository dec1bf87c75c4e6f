//! The installed versions in each cluster, read from the images of its Deployments.

use anyhow::Result;
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde::Serialize;

use crate::guide::{ISTIO_NAMESPACE, Step};
use crate::k8s::request::send_opt;
use crate::mesh::{Cluster, ClusterName};
use crate::progress::ObjectId;
use crate::run::Run;

#[derive(Debug, Serialize)]
pub struct Installed {
    pub cluster: ClusterName,
    pub object: ObjectId,
    pub image: String,
}

pub async fn installed(run: &Run<'_>) -> Result<Vec<Installed>> {
    let all = try_join_all(run.mesh.all().map(|cluster| of(run, cluster))).await?;
    Ok(all.into_iter().flatten().collect())
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
                image: image(deployment)?,
                object,
            })
        }))
    });
    Ok(try_join_all(found).await?.into_iter().flatten().collect())
}

fn image(deployment: Deployment) -> Option<String> {
    let pod = deployment.spec.template.spec?;
    pod.containers.into_iter().next()?.image
}
