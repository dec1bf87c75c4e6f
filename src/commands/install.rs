//! `check` and `install`: the one is the beginning of the other.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{members, noted, shown, with_remembered};
use crate::check::Finding;
use crate::cli::{self, Global};
use crate::code::Code;
use crate::document::{self, Ended};
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Istiod, Members, Mesh};
use crate::options::{Asked, Options};
use crate::problem::{self, Exit, Problem};
use crate::remembered::Chosen;
use crate::run::{LeftOut, Run};
use crate::{check, install, last_install, plan, remembered, ui};

pub async fn check(args: cli::Check, global: &Global, work: &Work) -> Result<Ended> {
    let (false, Some(fleet)) = (args.list, args.fleet) else {
        ui::codes();
        return Ok(Ended::done(json!({"codes": document::codes()})));
    };
    let members = members(fleet.ctx1, fleet.remotes, global)?;
    let mesh = match connected(&members, fleet.allow_loopback).await {
        Ok(mesh) => with_remembered(mesh, &global.namespace).await,
        Err(ended) => return Ok(ended),
    };
    ui::given(&mesh);
    let asked = args.images.asked();
    let choices = Choices {
        allow_loopback: fleet.allow_loopback,
        ..Choices::default()
    };
    let findings = shown(&mesh, global, choices, work, async |run| {
        let chosen = chosen(run, &asked).await?;
        let checked = check::check(&chosen.of(run), &args.skip_check).await?;
        anyhow::Ok(checked.findings)
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
        keep_going,
        skip_check,
        dry_run,
        exit_code,
        images,
    } = args;
    let wanted = Wanted {
        options: images.asked(),
        skip: skip_check,
    };
    let members = members(fleet.ctx1, fleet.remotes, global)?;
    let connected = match keep_going {
        true => reached(&members, fleet.allow_loopback).await,
        false => connected(&members, fleet.allow_loopback)
            .await
            .map(|mesh| (mesh, LeftOut::default())),
    };
    let (mesh, left_out) = match connected {
        Ok((mesh, left_out)) => (with_remembered(mesh, &global.namespace).await, left_out),
        Err(ended) => return Ok(ended),
    };
    let choices = Choices {
        force_conflicts,
        keep_going,
        dry_run,
        allow_loopback: fleet.allow_loopback,
        ..Choices::default()
    };
    if dry_run {
        return planned(&mesh, global, choices, work, &wanted, exit_code).await;
    }
    work.begins(&mesh);
    written(&mesh, &members, left_out, global, choices, work, &wanted).await
}

/// What the user wants of an install besides its clusters.
struct Wanted {
    options: Asked,
    /// Findings that are no reason to stop.
    skip: Vec<Code>,
}

async fn written(
    mesh: &Mesh,
    members: &Members,
    left_out: LeftOut,
    global: &Global,
    choices: Choices,
    work: &Work,
    wanted: &Wanted,
) -> Result<Ended> {
    let started = Instant::now();
    let mut remembered = true;
    let mut findings = Vec::new();
    let mut options = Options::default();
    let mut changes = Vec::new();
    let begun = shown(mesh, global, choices, work, async |run| -> Result<bool> {
        let chosen = chosen(run, &wanted.options).await?;
        let mut run = Run {
            left_out: &left_out,
            ..chosen.of(run)
        };
        options = run.options.clone();
        let checked = check::check(&run, &wanted.skip).await?;
        findings = checked.findings;
        run.seen = &checked.seen;
        let run = &run;
        if !ui::allowed(&findings, !stops(run, &findings)) {
            return Ok(false);
        }
        // Before the first write: an install that is interrupted can be cleaned up like any other.
        if let Err(error) = last_install::remember(members, run) {
            remembered = false;
            ui::note(&format!(
                "cannot remember the clusters, so pass them to the other commands too: {error:#}"
            ));
        }
        install::install(run).await?;
        changes = plan::changes(run);
        Ok(true)
    })
    .await?;
    let mut found = json!({
        "clusters": document::clusters(mesh), "findings": document::findings(&findings),
        "options": options.values(),
    });
    if !begun {
        return Ok(Ended::by(false, Exit::Preflight, found));
    }
    let seen = mesh.without(|remote| left_out.has(&remote.name));
    let left_out = left_out.into_all();
    found["changes"] = document::changes(&changes);
    found["leftOut"] = document::unreachable(&left_out);
    ui::installed(&seen, remembered, started.elapsed());
    ui::left_out(&left_out);
    Ok(Ended::by(left_out.is_empty(), Exit::Partial, found))
}

/// Whether the run ends here. A remote that cannot be installed on is left out where the others go on.
fn stops(run: &Run<'_>, findings: &[Finding]) -> bool {
    let errors = || findings.iter().filter(|finding| finding.is_error());
    if run.choices.keep_going {
        for finding in errors() {
            let remote = run.mesh.remotes.iter().find(|r| r.name == finding.cluster);
            let Some(remote) = remote else { continue };
            let cause = format!("{}: {}: {}", finding.cluster, finding.object, finding.cause);
            let problem = Problem::new(Exit::Preflight, cause).code(finding.code);
            run.left_out.add(remote, problem.fix(&finding.fix).into());
        }
    }
    errors().any(|finding| !run.left_out.has(&finding.cluster))
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
    wanted: &Wanted,
    exit_code: bool,
) -> Result<Ended> {
    let mut findings = Vec::new();
    let plans = noted(mesh, global, choices, work, async |run| -> Result<_> {
        let chosen = chosen(run, &wanted.options).await?;
        let mut run = chosen.of(run);
        let checked = check::check(&run, &wanted.skip).await?;
        findings = checked.findings;
        run.seen = &checked.seen;
        let allowed = !findings.iter().any(Finding::is_error);
        match ui::allowed(&findings, allowed) {
            true => plan::plan(&run).await.map(Some),
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

/// Those that answer: a home must, a remote need not.
async fn reached(members: &Members, allow_loopback: bool) -> Result<(Mesh, LeftOut), Ended> {
    let reached = async {
        let (mesh, mut absent) = mesh::connect_reachable(members, Istiod::Required).await?;
        ui::clusters(&mesh);
        check::usable_addresses(&mesh, allow_loopback)?;
        for one in &mut absent {
            // What it was called when it answered.
            if let Some(name) = last_install::name(&one.context) {
                one.name = name;
            }
        }
        anyhow::Ok((mesh, LeftOut::of(absent)))
    };
    reached.await.map_err(|error| {
        ui::error(&error);
        Ended::failed(&error)
    })
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
