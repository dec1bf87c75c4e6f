//! `check` and `install`: the one is the beginning of the other.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{members, noted, shown, with_remembered};
use crate::cli::{self, Global};
use crate::document::{self, Ended};
use crate::install::Run;
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Members, Mesh};
use crate::options::{Asked, Options};
use crate::problem::{self, Exit};
use crate::remembered::Chosen;
use crate::{check, install, last_install, plan, remembered, ui};

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
        dry_run,
        exit_code,
        images,
    } = args;
    let asked = images.asked();
    let started = Instant::now();
    let members = members(fleet.ctx1, fleet.remotes, global)?;
    let mesh = match connected(&members, fleet.allow_loopback).await {
        Ok(mesh) => with_remembered(mesh, &global.namespace).await,
        Err(ended) => return Ok(ended),
    };
    let choices = Choices {
        force_conflicts,
        dry_run,
        ..Choices::default()
    };
    if dry_run {
        return planned(&mesh, global, choices, work, &asked, exit_code).await;
    }
    work.begins(&mesh);
    let mut remembered = true;
    let mut findings = Vec::new();
    let mut options = Options::default();
    let begun = shown(&mesh, global, choices, work, async |run| -> Result<bool> {
        let chosen = chosen(run, &asked).await?;
        let run = &chosen.of(run);
        options = run.options.clone();
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
        "options": options.values(),
    });
    Ok(Ended::by(begun, Exit::Preflight, found))
}

/// Options of now and of the last install; what is unexpected in them is told.
async fn chosen(run: &Run<'_>, asked: &Asked) -> Result<Chosen> {
    let chosen = remembered::choose(run, asked).await?;
    chosen.said.iter().for_each(|line| ui::note(line));
    Ok(chosen)
}

/// What the same install would write.
async fn planned(
    mesh: &Mesh,
    global: &Global,
    choices: Choices,
    work: &Work,
    asked: &Asked,
    exit_code: bool,
) -> Result<Ended> {
    let mut findings = Vec::new();
    let plans = noted(mesh, global, choices, work, async |run| -> Result<_> {
        let chosen = chosen(run, asked).await?;
        let run = &chosen.of(run);
        findings = check::check(run).await?;
        match ui::allowed(&findings) {
            true => plan::plan(run).await.map(Some),
            false => Ok(None),
        }
    })
    .await?;
    let mut found = json!({
        "clusters": document::clusters(mesh), "findings": document::findings(&findings),
    });
    let Some(plans) = plans else {
        return Ok(Ended::by(false, Exit::Preflight, found));
    };
    found["changes"] = document::changes(&plans);
    let writes = ui::planned(&plans);
    Ok(Ended::by(!writes || !exit_code, Exit::Changes, found))
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
