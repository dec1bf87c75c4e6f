//! `doctor`.

use std::time::Instant;

use anyhow::Result;

use super::look::{RECALL, last_install_on};
use super::{members, noted};
use crate::cli::{self, Global};
use crate::doctor::{self, Question};
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Absent, Istiod};
use crate::result::{Cluster, DoctorResult, Ended, Private, Unreachable};
use crate::run::Run;

pub async fn doctor(args: cli::Doctor, global: &Global, work: &Work) -> Result<Ended> {
    let members = members(args.clusters.ctx1, args.clusters.remotes, global)?;
    let (mesh, absent) = mesh::connect_reachable(&members, Istiod::Optional).await?;
    let (session, _) = last_install_on(mesh, global, RECALL).await?;
    let question = Question {
        window: args.since,
        namespace: args.traffic_namespace,
        service: args.service,
    };
    // A cluster that hangs must not keep the others from being asked.
    let global = &Global {
        timeout: global.timeout.min(doctor::PATIENCE),
        ..global.clone()
    };
    let none = Choices::default();
    let diagnosed = noted(&session, global, none, work, async |run| {
        diagnosed(run, &absent, question).await
    });
    Ok(diagnosed.await)
}

/// Asks all sources of the clusters of a run.
pub async fn diagnosed(run: &Run<'_>, absent: &[Absent], question: Question) -> Ended {
    let started = Instant::now();
    let diagnosis = doctor::doctor(run, absent, &question).await;
    let reached = run.mesh.all().map(|one| Private {
        cluster: one.name.clone(),
        context: one.context.clone(),
        kubectl: Some(one.kubectl.clone()),
    });
    let others = absent.iter().map(|one| Private {
        cluster: one.name.clone(),
        context: one.context.clone(),
        kubectl: None,
    });
    let private = reached.chain(others).collect();
    let unreachable = Unreachable::all(absent);
    let clusters = Cluster::all(run.mesh);
    let how = (private, started.elapsed());
    DoctorResult::of(clusters, diagnosis, question, unreachable, how).into()
}
