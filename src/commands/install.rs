//! `check` and `install`: the one is the beginning of the other.

use std::time::Instant;

use anyhow::Result;

use super::{members, noted, shown, with_remembered};
use crate::check::Finding;
use crate::cli::{self, Global};
use crate::code::Code;
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Istiod, Members, Mesh};
use crate::options::{Asked, Options};
use crate::plan::Plan;
use crate::problem::{Exit, Problem};
use crate::remembered::Chosen;
use crate::result::{
    Change, CheckResult, Cluster, CodesResult, Ended, InstallResult, Installed, PlanResult,
    Unreachable,
};
use crate::run::{LeftOut, Run};
use crate::{check, install, last_install, out, plan, remembered, ui};

pub async fn check(args: cli::Check, global: &Global, work: &Work) -> Result<Ended> {
    let (false, Some(fleet)) = (args.list, args.fleet) else {
        return Ok(CodesResult::all().into());
    };
    let members = members(fleet.ctx1, fleet.remotes, global)?;
    let mesh = match connected(&members, fleet.allow_loopback).await {
        Ok(mesh) => with_remembered(mesh, &global.namespace).await,
        Err(errors) => return Ok(Ended::failed(&errors)),
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
    let result = CheckResult {
        clusters: Cluster::all(&mesh),
        findings,
        strict: args.strict,
    };
    Ok(result.into())
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
        true => reached(&members, fleet.allow_loopback)
            .await
            .map_err(|error| vec![error]),
        false => connected(&members, fleet.allow_loopback)
            .await
            .map(|mesh| (mesh, LeftOut::default())),
    };
    let (mesh, left_out) = match connected {
        Ok((mesh, left_out)) => (with_remembered(mesh, &global.namespace).await, left_out),
        Err(errors) => return Ok(Ended::failed(&errors)),
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
    let checked = shown(mesh, global, choices, work, async |run| {
        let run = Run {
            left_out: &left_out,
            ..run.clone()
        };
        unless_stopped(&run, wanted, async |run| begin(run, members).await).await
    });
    let AfterCheck {
        options,
        findings,
        done: begun,
    } = checked.await?;
    let left_out = left_out.into_all();
    let installed = begun.map(|Begun { remembered, plans }| Installed {
        changes: Change::all(plans),
        left_out: Unreachable::all(&left_out),
        remembered,
        took: started.elapsed(),
    });
    let result = InstallResult {
        clusters: Cluster::all(mesh),
        findings,
        options,
        installed,
    };
    Ok(result.into())
}

/// What the writing part of an install tells.
struct Begun {
    remembered: bool,
    plans: Vec<Plan>,
}

async fn begin(run: &Run<'_>, members: &Members) -> Result<Begun> {
    // Before the first write: an install that is interrupted can be cleaned up like any other.
    let remembered = last_install::remember(members, run);
    if let Err(error) = &remembered {
        out::note(&format!(
            "cannot remember the clusters, so pass them to the other commands too: {error:#}"
        ));
    }
    install::install(run).await?;
    Ok(Begun {
        remembered: remembered.is_ok(),
        plans: plan::changes(run),
    })
}

/// What was chosen and found, and what was done after it: None where the findings stop the run.
struct AfterCheck<T> {
    options: Options,
    findings: Vec<Finding>,
    done: Option<T>,
}

/// Checks the clusters, and goes on with the objects as the check found them.
async fn unless_stopped<T>(
    run: &Run<'_>,
    wanted: &Wanted,
    go_on: impl AsyncFnOnce(&Run<'_>) -> Result<T>,
) -> Result<AfterCheck<T>> {
    let chosen = chosen(run, &wanted.options).await?;
    let mut run = chosen.of(run);
    let checked = check::check(&run, &wanted.skip).await?;
    run.seen = &checked.seen;
    let stops = stops(&run, &checked.findings);
    ui::findings(&checked.findings, stops);
    let done = match stops {
        true => None,
        false => Some(go_on(&run).await?),
    };
    Ok(AfterCheck {
        options: run.options.clone(),
        findings: checked.findings,
        done,
    })
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
    chosen.said.iter().for_each(|line| out::note(line));
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
    let checked = noted(mesh, global, choices, work, async |run| {
        unless_stopped(run, wanted, async |run| plan::plan(run).await).await
    });
    let checked = checked.await?;
    let result = PlanResult {
        clusters: Cluster::all(mesh),
        findings: checked.findings,
        changes: checked.done.map(Change::all),
        exit_code,
    };
    Ok(result.into())
}

/// Those that answer: a home must, a remote need not.
async fn reached(members: &Members, allow_loopback: bool) -> Result<(Mesh, LeftOut)> {
    let (mesh, mut absent) = mesh::connect_reachable(members, Istiod::Required).await?;
    ui::clusters(&Cluster::all(&mesh));
    check::usable_addresses(&mesh, allow_loopback)?;
    for one in &mut absent {
        // What it was called when it answered.
        if let Some(name) = last_install::name(&one.context) {
            one.name = name;
        }
    }
    Ok((mesh, LeftOut::of(absent)))
}

/// Or all that keeps any of the clusters from it.
async fn connected(members: &Members, allow_loopback: bool) -> Result<Mesh, Vec<anyhow::Error>> {
    let mesh = mesh::connect_each(members).await?;
    ui::clusters(&Cluster::all(&mesh));
    match check::usable_addresses(&mesh, allow_loopback) {
        Ok(()) => Ok(mesh),
        Err(problem) => Err(vec![problem.into()]),
    }
}
