//! `check`, `plan` and `install`: an install starts with the check, and a plan is an install with dry-run writes.

use std::time::Instant;

use anyhow::Result;

use super::{members, noted, on_screen, shown};
use crate::check::Finding;
use crate::cli::{self, Global};
use crate::code::Code;
use crate::deadline::Deadline;
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Istiod, Members, Mesh};
use crate::options::Asked;
use crate::plan::Plan;
use crate::problem::{Exit, Problem};
use crate::result::{
    Change, CheckResult, Cluster, CodesResult, Ended, InstallResult, Installed, PlanResult,
    Unreachable,
};
use crate::run::{LeftOut, Run};
use crate::session::Session;
use crate::{check, files, install, last_install, login, out, plan, ui};

pub async fn check(args: cli::Check, global: &Global, work: &Work) -> Result<Ended> {
    let (false, Some(fleet)) = (args.list, args.fleet) else {
        return Ok(CodesResult::all().into());
    };
    let members = members(fleet.ctx1, fleet.remotes, global)?;
    let asked = files::run_blocking(move || args.options.asked()).await?;
    let mesh = match connected(&members, fleet.allow_loopback).await {
        Ok(mesh) => mesh,
        Err(errors) => return Ok(Ended::failed(&errors)),
    };
    let login = args.login.files();
    let session = opened((mesh, LeftOut::default()), global, &asked, login, false).await?;
    ui::given(&session.mesh.home.name, &session.options);
    let choices = Choices {
        allow_loopback: fleet.allow_loopback,
        ..Choices::default()
    };
    let checked = shown(&session, global, choices, work, async |run| {
        check::check_all(run, &args.skip_check).await
    })
    .await?;
    let result = CheckResult {
        clusters: Cluster::all(&session.mesh),
        findings: checked.findings,
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
        options,
        login,
    } = args;
    let members = members(fleet.ctx1, fleet.remotes, global)?;
    let asked = files::run_blocking(move || options.asked()).await?;
    let connected = match keep_going {
        true => reached(&members, fleet.allow_loopback)
            .await
            .map_err(|error| vec![error]),
        false => connected(&members, fleet.allow_loopback)
            .await
            .map(|mesh| (mesh, LeftOut::default())),
    };
    let connected = match connected {
        Ok(connected) => connected,
        Err(errors) => return Ok(Ended::failed(&errors)),
    };
    let login = login.files();
    let session = opened(connected, global, &asked, login, dry_run).await?;
    let choices = Choices {
        force_conflicts,
        keep_going,
        dry_run,
        allow_loopback: fleet.allow_loopback,
        ..Choices::default()
    };
    if dry_run {
        return planned(&session, global, choices, work, &skip_check, exit_code).await;
    }
    work.begins(&session.mesh);
    written(session, &members, global, choices, work, &skip_check).await
}

/// Opens the clusters with the options of this install, and prints what is unexpected in them.
async fn opened(
    (mesh, left_out): (Mesh, LeftOut),
    global: &Global,
    asked: &Asked,
    login: login::Files,
    dry_run: bool,
) -> Result<Session> {
    let open = async |events| {
        let deadline = Deadline::after(global.timeout);
        Session::for_install(mesh, left_out, &global.namespace, asked, deadline, &events).await
    };
    let (mut session, said) = match dry_run {
        true => on_screen(ui::show_notes, open).await?,
        false => on_screen(ui::show, open).await?,
    };
    said.iter().for_each(|line| out::note(line));
    // The files may be pipes.
    let of_user = session.settings.login.take();
    session.settings.login = files::run_blocking(move || login.read(of_user)).await?;
    Ok(session)
}

async fn written(
    session: Session,
    members: &Members,
    global: &Global,
    choices: Choices,
    work: &Work,
    skip: &[Code],
) -> Result<Ended> {
    let started = Instant::now();
    let checked = shown(&session, global, choices, work, async |run| {
        unless_stopped(run, skip, async |run| begin(run, members).await).await
    });
    let AfterCheck {
        findings,
        done: begun,
    } = checked.await?;
    let Session {
        mesh,
        options,
        left_out,
        ..
    } = session;
    let left_out = left_out.into_all();
    let installed = begun.map(|Begun { remembered, plans }| Installed {
        changes: Change::all(plans),
        left_out: Unreachable::all(&left_out),
        remembered,
        took: started.elapsed(),
    });
    let result = InstallResult {
        clusters: Cluster::all(&mesh),
        findings,
        options,
        installed,
    };
    Ok(result.into())
}

/// The result of the writing part of an install.
struct Begun {
    remembered: bool,
    plans: Vec<Plan>,
}

async fn begin(run: &Run<'_>, members: &Members) -> Result<Begun> {
    // Before the first write, so that an interrupted install can be cleaned up like any other.
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

/// What was found, and what was done after it: None if the findings stop the run.
struct AfterCheck<T> {
    findings: Vec<Finding>,
    done: Option<T>,
}

/// Checks the clusters, and continues with the objects as the check found them.
async fn unless_stopped<T>(
    run: &Run<'_>,
    skip: &[Code],
    go_on: impl AsyncFnOnce(&Run<'_>) -> Result<T>,
) -> Result<AfterCheck<T>> {
    let checked = check::check(run, skip).await?;
    let stops = stops(run, &checked.findings);
    ui::findings(&checked.findings, stops);
    let run = Run {
        seen: &checked.seen,
        ..run.clone()
    };
    let done = match stops {
        true => None,
        false => Some(go_on(&run).await?),
    };
    Ok(AfterCheck {
        findings: checked.findings,
        done,
    })
}

/// Whether the findings stop the run. With --keep-going, a remote with errors is left out instead.
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

/// What the same install would write.
async fn planned(
    session: &Session,
    global: &Global,
    choices: Choices,
    work: &Work,
    skip: &[Code],
    exit_code: bool,
) -> Result<Ended> {
    let checked = noted(session, global, choices, work, async |run| {
        unless_stopped(run, skip, async |run| plan::plan(run).await).await
    });
    let checked = checked.await?;
    let result = PlanResult {
        clusters: Cluster::all(&session.mesh),
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
