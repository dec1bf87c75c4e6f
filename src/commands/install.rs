//! `check` and `install`: the one is the beginning of the other.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{named, shown};
use crate::cli::{self, Global};
use crate::document::{self, Ended};
use crate::images::Images;
use crate::install::Run;
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Mesh};
use crate::options::Options;
use crate::problem::{self, Exit};
use crate::{check, install, last_install, remembered, ui};

pub async fn check(args: cli::Check, global: &Global, work: &Work) -> Result<Ended> {
    let Some(fleet) = args.fleet else {
        ui::codes();
        return Ok(Ended::done(json!({})));
    };
    let mesh = match connected(fleet, global).await {
        Ok(mesh) => mesh,
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
        images,
    } = args;
    let asked = images.asked();
    let started = Instant::now();
    let mesh = match connected(fleet, global).await {
        Ok(mesh) => mesh,
        Err(ended) => return Ok(ended),
    };
    let choices = Choices {
        force_conflicts,
        ..Choices::default()
    };
    work.begins(&mesh);
    let mut remembered = true;
    let mut findings = Vec::new();
    let mut options = Options::default();
    let begun = shown(&mesh, global, choices, work, async |run| -> Result<bool> {
        let chosen = remembered::choose(run, &asked).await?;
        chosen.said.iter().for_each(|line| ui::note(line));
        options = chosen.options;
        let images = Images::of(&options);
        let run = &Run {
            options: &options,
            images: &images,
            ..run.clone()
        };
        findings = check::check(run).await?;
        if !ui::allowed(&findings) {
            return Ok(false);
        }
        // Before the first write: an install that is interrupted can be cleaned up like any other.
        if let Err(error) = last_install::remember(&global.kubeconfig, &mesh) {
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

/// With all that keeps any of the clusters from it, told.
async fn connected(fleet: cli::Fleet, global: &Global) -> Result<Mesh, Ended> {
    let members = named(fleet.ctx1, fleet.remotes.0, global);
    let connected = mesh::connect_each(&members).await.and_then(|mesh| {
        ui::clusters(&mesh);
        let usable = check::usable_addresses(&mesh, fleet.allow_loopback);
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
