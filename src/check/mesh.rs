//! For `doctor`: what is known of the mesh of each cluster. Unlike a check, asks nothing about the objects of an install, and
//! a cluster that cannot be looked at hides no other.

use anyhow::Result;
use futures::future::join_all;

use super::facts::Facts;
use super::{Finding, fleet, istio, policies, reach, sync};
use crate::guide::Step;
use crate::mesh::Cluster;
use crate::planned::planned;
use crate::run::Run;

/// The findings about each cluster, in the mesh's order.
pub async fn of_mesh(run: &Run<'_>) -> Vec<Result<Vec<Finding>, String>> {
    let looked = run.mesh.all().map(|cluster| one(run, cluster));
    let (mut facts, mut found) = (Vec::new(), Vec::new());
    for one in join_all(looked).await {
        found.push(match one {
            Err(error) => Err(format!("{error:#}")),
            Ok((of_one, findings)) => {
                facts.push(of_one);
                Ok(findings)
            }
        });
    }
    // The first one is taken for home.
    let compared = match facts.len() == found.len() {
        true => fleet::compare(&facts, run.namespace, false),
        false => Vec::new(),
    };
    for (cluster, found) in run.mesh.all().zip(&mut found) {
        let of_it = compared.iter().filter(|one| one.cluster == cluster.name);
        let _ = found.as_mut().map(|found| found.extend(of_it.cloned()));
    }
    found
}

async fn one<'a>(run: &Run<'a>, cluster: &'a Cluster) -> Result<(Facts<'a>, Vec<Finding>)> {
    let scope = run.on(Step::Namespace, cluster);
    let (facts, sync) = tokio::try_join!(Facts::of(&scope), sync::check(run, &scope))?;
    if let Some(elsewhere) = istio::elsewhere(&facts) {
        return Ok((facts, vec![elsewhere]));
    }
    let own_policies = policies::planned(&planned(run, cluster)?);
    let home = run.is_home(cluster);
    // Nothing else tells that the trust domains were not compared.
    let blind = facts.mesh_config.as_ref().err();
    let mut findings = [
        istio::judge(&facts),
        reach::judge(&facts, run.mesh),
        sync,
        policies::judge(&facts, home, scope.namespace, &own_policies),
        blind.map(|one| *one.clone()).into_iter().collect(),
    ]
    .concat();
    if run.settings.store.is_some() {
        findings.retain(|finding| !finding.code.is_about_gateway());
    }
    Ok((facts, findings))
}
