//! `estimate`.

use anyhow::Result;

use super::look::{RECALL, last_install_on};
use super::{members, shown};
use crate::cli::{Clusters, Global};
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Istiod};
use crate::result::{Cluster, Ended, EstimateResult, Unreachable};
use crate::{estimate, ui};

pub async fn estimate(args: Clusters, global: &Global, work: &Work) -> Result<Ended> {
    let members = members(args.ctx1, args.remotes, global)?;
    let (mesh, absent) = mesh::connect_reachable(&members, Istiod::Optional).await?;
    ui::clusters(&Cluster::all(&mesh));
    let (session, _) = last_install_on(mesh, global, RECALL).await?;
    let estimates = shown(&session, global, Choices::default(), work, async |run| {
        estimate::estimate(run).await
    })
    .await;
    let clusters = Cluster::all(&session.mesh);
    let metrics = session.settings.metrics;
    let unreachable = Unreachable::all(&absent);
    Ok(EstimateResult::of(clusters, metrics, estimates, unreachable).into())
}
