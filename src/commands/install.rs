//! `check` and `install`: the one is the beginning of the other.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{members, shown, with_remembered};
use crate::cli::{self, Global};
use crate::document::{self, Ended};
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Members, Mesh};
use crate::problem::{self, Exit};
use crate::{check, install, last_install, ui};

pub async fn check(args: cli::Check, global: &Global, work: &Work) -> Result<Ended> {
    let Some(fleet) = args.fleet else {
        ui::codes();
        return Ok(Ended::done(json!({})));
    };
    let members = members(fleet.ctx1, fleet.remotes, global)?;
    let mesh = match connected(&members, fleet.allow_loopback).await {
        Ok(mesh) => with_remembered(mesh, &global.namespace).await,
        Err(ended) => return Ok(ended),
    };
    let none = Choices::default();
    let findings = shown(&mesh, global, none, work, async |run| {
        check::check(run).await
    })
    .await?;
    let found = json!({
        "clusters": document::clusters(&mesh), "findings": document::findings(&findings),
    });
    let good = ui::checked(&findings, args.strict);
    Ok(Ended::by(good, Exit::Preflight, found))
}

pub async fn install(args: cli::Install, global: &Global, work: &Work) -> Result<Ended> {
    let cli::Install {
        fleet,
        force_conflicts,
    } = args;
    let started = Instant::now();
    let members = members(fleet.ctx1, fleet.remotes, global)?;
    let mesh = match connected(&members, fleet.allow_loopback).await {
        Ok(mesh) => with_remembered(mesh, &global.namespace).await,
        Err(ended) => return Ok(ended),
    };
    let choices = Choices {
        force_conflicts,
        ..Choices::default()
    };
    work.begins(&mesh);
    let mut remembered = true;
    let mut findings = Vec::new();
    let begun = shown(&mesh, global, choices, work, async |run| -> Result<bool> {
        findings = check::check(run).await?;
        if !ui::allowed(&findings) {
            return Ok(false);
        }
        // Before the first write: an install that is interrupted can be cleaned up like any other.
        if let Err(error) = last_install::remember(&members, &mesh) {
            remembered = false;
            ui::note(&format!(
                "the clusters cannot be remembered, so name them to the other commands too: {error:#}"
            ));
        }
        install::install(run).await.map(|()| true)
    })
    .await?;
    if begun {
        ui::installed(&mesh, remembered, started.elapsed());
    }
    let found = json!({
        "clusters": document::clusters(&mesh), "findings": document::findings(&findings),
    });
    Ok(Ended::by(begun, Exit::Preflight, found))
}

/// With all that keeps any of the clusters from it, told.
async fn connected(members: &Members, allow_loopback: bool) -> Result<Mesh, Ended> {
    let connected = mesh::connect_each(members).await.and_then(|mesh| {
        ui::clusters(&mesh);
        let usable = check::usable_addresses(&mesh, allow_loopback);
        usable
            .map(|()| mesh)
            .map_err(|problem| vec![problem.into()])
    });
    connected.map_err(|errors| {
        errors.iter().for_each(ui::error);
        let exit = errors.iter().find_map(problem::find).map(|p| p.exit);
        let found = json!({"errors": document::failures(&errors)});
        Ended::by(false, exit.unwrap_or(Exit::Unexpected), found)
    })
}
