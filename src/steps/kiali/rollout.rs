//! The pods of Kiali: from when they are, with which image, and how they are replaced.

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::SignedDuration;
use serde_json::json;

use super::{Asked, NAME, PODS, deployments};
use crate::k8s::apply::Outcome;
use crate::k8s::health::{self, Health};
use crate::k8s::pods::RolledOut;
use crate::k8s::record::{Entry, Origin};
use crate::k8s::request::send_opt;
use crate::k8s::wait::Wait;
use crate::k8s::{Scope, ownership, pods};
use crate::progress::ObjectId;
use crate::visible;

/// For how long the oldest ready pod has existed, by the server's clock; None if that is not known.
pub async fn up_for(scope: &Scope<'_>) -> Option<SignedDuration> {
    let all = pods::labelled(scope, scope.namespace, PODS).await.ok()?;
    let oldest = all.iter().find(|pod| pods::is_ready(pod))?;
    let made = oldest.metadata.creation_timestamp.as_ref()?.0;
    Some(scope.cluster.server_time()?.duration_since(made))
}

/// Whether a Kiali runs that started before the files of its pod were written. It reads the client secret only when it
/// starts, and a new CA may take the kubelet two minutes.
pub async fn has_old_files(scope: &Scope<'_>, asked: &Asked) -> bool {
    // The operator rolls Kiali after a change of the CR.
    let (Some(written), Outcome::Unchanged) = (&asked.files, asked.cr.outcome) else {
        return false;
    };
    let all = pods::labelled(scope, scope.namespace, PODS).await;
    let is_older = |pod: &Pod| pod.metadata.creation_timestamp.as_ref() < Some(written);
    all.is_ok_and(|all| all.iter().any(|pod| pods::is_ready(pod) && is_older(pod)))
}

/// Restarts Kiali, which never returns to a cluster in which it lacked rights.
pub async fn restarted(scope: &Scope<'_>) -> Result<Option<Time>> {
    let id = ObjectId::new("Deployment", scope.namespace, NAME);
    let restarted = pods::restart(scope, &deployments(scope), &id).await?;
    let live = restarted.map(serde_json::to_value).transpose()?;
    Ok(live.as_ref().and_then(ownership::written_at))
}

/// Before Kiali is rolled: has the old pod serve until the new one is ready. The operator's Deployment lets the
/// controller stop its only pod first. Whatever runs the operator next may set that again.
pub async fn kept_serving(scope: &Scope<'_>) -> Result<()> {
    let (api, id) = (
        deployments(scope),
        ObjectId::new("Deployment", scope.namespace, NAME),
    );
    let Some(live) = send_opt(scope, &id, || api.get(NAME)).await? else {
        return Ok(());
    };
    let rolling = live.spec.strategy.and_then(|s| s.rolling_update);
    let unavailable = rolling.and_then(|rolling| rolling.max_unavailable);
    if matches!(unavailable, None | Some(IntOrString::Int(0))) {
        return Ok(());
    }
    pods::update(
        scope,
        &api,
        &id,
        &json!({"maxSurge": 1, "maxUnavailable": 0}),
    )
    .await
}

/// Waits until no pod of Kiali is older than `since`, the last write of its remotes. What such a pod uses is not known
/// any more.
pub async fn rolled(scope: &Scope<'_>, since: Option<Time>) -> Result<()> {
    let pods = pods::labelled(scope, scope.namespace, PODS).await?;
    match pods
        .iter()
        .any(|pod| pod.metadata.creation_timestamp < since)
    {
        true => rolled_out_since(scope, since).await.map(drop),
        false => Ok(()),
    }
}

/// Kiali reads its remotes only when it starts, so only a pod created after the last write has them all. Returns the
/// Deployment and its pods.
pub async fn rolled_out_since(
    scope: &Scope<'_>,
    written: Option<Time>,
) -> Result<(Option<Deployment>, Vec<Pod>)> {
    let mut older_than: Option<i64> = None;
    loop {
        let object = ObjectId::new("Deployment", scope.namespace, NAME);
        let newer =
            |d: Option<&Deployment>| match (d.and_then(|d| d.metadata.generation), older_than) {
                (Some(now), Some(then)) if now <= then => Health::InProgress(
                    "the operator has not rolled Kiali with the new remotes".into(),
                ),
                _ => health::deployment(d),
            };
        let wait = Wait::for_object(deployments(scope), object);
        let RolledOut { deployment, pods } = pods::rolled_out(scope, wait, PODS, newer).await?;
        let pods = pods?;
        if !pods
            .iter()
            .any(|pod| pod.metadata.creation_timestamp < written)
        {
            return Ok((deployment, pods));
        }
        // The generation of this roll-out: another one may have started since.
        older_than = deployment.and_then(|d| d.metadata.generation);
    }
}

/// Whether Kiali's Deployment has another image than the operator was told. The operator creates the Deployment, and
/// does not notice when somebody changes it.
pub async fn other_image(scope: &Scope<'_>) -> Option<String> {
    let (api, object) = (
        deployments(scope),
        ObjectId::new("Deployment", scope.namespace, NAME),
    );
    let live = send_opt(scope, &object, || api.get(NAME)).await.ok()??;
    image_of(scope, live)
}

pub fn image_of(scope: &Scope<'_>, live: Deployment) -> Option<String> {
    // An operator of others has its own image for Kiali.
    let is_ours = |entry: &Entry| {
        entry.key.kind == "Deployment"
            && entry.key.name == "kiali-operator"
            && entry.origin == Origin::Created
    };
    if !scope.record.entries().iter().any(is_ours) {
        return None;
    }
    let containers = live.spec.template.spec?.containers;
    let image = containers.into_iter().find(|c| c.name == NAME)?.image?;
    let (_, told) = scope
        .settings
        .images
        .all()
        .find(|(name, _)| *name == NAME)?;
    let image_is_told = scope.settings.images.is_kiali(&image);
    let image = visible::short(&image, visible::SAID);
    (!image_is_told).then(|| format!("runs image {image}, and the operator was told {told}"))
}
