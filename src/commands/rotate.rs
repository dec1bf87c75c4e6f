//! `rotate`.

use std::time::Instant;

use anyhow::Result;

use super::cleanup::of_last_home;
use super::{members, on_screen, shown};
use crate::cli::{self, Global};
use crate::deadline::Deadline;
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Istiod};
use crate::result::{Cluster, Ended, RotateResult};
use crate::session::Session;
use crate::{out, rotate, ui};

pub async fn rotate(args: cli::Rotate, global: &Global, work: &Work) -> Result<Ended> {
    let started = Instant::now();
    let alone = global.written.is_none() && args.clusters.ctx1.is_none();
    let members = match alone && !args.clusters.remotes.all.is_empty() {
        true => of_last_home(args.clusters.remotes.all, &global.kubeconfig)?,
        false => members(args.clusters.ctx1, args.clusters.remotes, global)?,
    };
    let mesh = mesh::connect(&members, Istiod::Optional).await?;
    ui::clusters(&Cluster::all(&mesh));
    let asked = args.token.asked();
    let (session, said) = on_screen(ui::show_notes, async |events| {
        let deadline = Deadline::after(global.timeout);
        let namespace = &global.namespace;
        Session::for_rotation(mesh, namespace, &asked, deadline, &events).await
    })
    .await?;
    said.iter().for_each(|line| out::note(line));
    if !args.dry_run {
        work.begins(&session.mesh);
    }
    let choices = Choices {
        dry_run: args.dry_run,
        ..Choices::default()
    };
    let rotated = shown(&session, global, choices, work, async |run| {
        rotate::rotate(run, args.if_older, args.certificates).await
    })
    .await?;
    let result = RotateResult {
        clusters: Cluster::all(&session.mesh),
        tokens: rotated.tokens.into_iter().map(Into::into).collect(),
        certificates: rotated.certificates.into_iter().map(Into::into).collect(),
        dry_run: args.dry_run,
        took: started.elapsed(),
    };
    Ok(result.into())
}
