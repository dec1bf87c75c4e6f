//! What each command does with what the user typed: connect, run it while its events are shown, say how
//! it ended.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::cli::{self, Cli, Clusters, Command, Global};
use crate::dashboard::Dashboard;
use crate::guide::Step;
use crate::install::{self, Run};
use crate::interrupt::Work;
use crate::k8s::lease::Lease;
use crate::k8s::record::Record;
use crate::k8s::{Choices, Deadline, Scope};
use crate::mesh::{self, Istiod, Member, Members, Mesh};
use crate::problem::{self, Exit};
use crate::verify::{self, Finding, Hop};
use crate::{check, cleanup, last_install, progress, status, ui, version};

pub async fn run(cli: Cli, work: &Work) -> Result<ExitCode> {
    let Cli { command, global } = cli;
    match command {
        Command::Check(args) => check(args, &global, work).await,
        Command::Install(args) => install(args, &global, work).await,
        Command::Verify(args) => verify(args, &global, work).await,
        Command::Status(args) => status(args, &global, work).await,
        Command::Dashboard(args) => dashboard(args, &global).await,
        Command::Cleanup(args) => cleanup(args, &global, work).await,
        Command::Explain(args) => {
            ui::explained(args.code);
            Ok(ExitCode::SUCCESS)
        }
        Command::Version(args) => version(args, &global, work).await,
        Command::Images => {
            ui::images();
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions(args) => {
            ui::text(&cli::completions(args.shell)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(args) => {
            cli::man(&args.folder)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a command's work while its events are shown.
async fn shown<T>(
    mesh: &Mesh,
    global: &Global,
    choices: Choices,
    work: &Work,
    command: impl AsyncFnOnce(&Run<'_>) -> T,
) -> T {
    let (events, receiver) = progress::channel();
    let screen = tokio::spawn(ui::show(receiver));
    let (records, lease) = bookkeeping(mesh, &global.namespace);
    let lease = work.holds(lease);
    let run = Run {
        mesh,
        namespace: &global.namespace,
        deadline: Deadline::after(global.timeout),
        events,
        records: &records,
        lease,
        choices,
    };
    let result = command(&run).await;
    drop(run);
    lease.release().await;
    let _ = screen.await;
    ui::put_off(mesh);
    result
}

/// Empty until a command opens or fills them.
fn bookkeeping(mesh: &Mesh, namespace: &str) -> (Vec<Record>, Lease) {
    let records = mesh
        .all()
        .map(|cluster| Record::of(mesh, cluster, namespace));
    let records = records.collect::<Vec<_>>();
    let lease = Lease::on(&mesh.home, namespace, &records[0].id);
    (records, lease)
}

fn exit(done: bool, otherwise: Exit) -> ExitCode {
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(otherwise as u8)
    }
}

fn members(clusters: Clusters, global: &Global) -> Result<Members> {
    match clusters.ctx1 {
        Some(home) => Ok(named(home, clusters.remotes.0, global)),
        None => last_install::recall(&global.kubeconfig),
    }
}

fn named(home: String, remotes: Vec<cli::Remote>, global: &Global) -> Members {
    let member = |number, context, api_server| Member {
        number,
        context,
        api_server,
        known: None,
    };
    let remotes = remotes.into_iter();
    Members {
        kubeconfig: global.kubeconfig.clone(),
        home: member(1, home, None),
        remotes: remotes
            .map(|r| member(r.number, r.context, r.api_server))
            .collect(),
    }
}

async fn check(args: cli::Check, global: &Global, work: &Work) -> Result<ExitCode> {
    let Some(fleet) = args.fleet else {
        ui::codes();
        return Ok(ExitCode::SUCCESS);
    };
    let members = named(fleet.ctx1, fleet.remotes.0, global);
    let mesh = match mesh::connect_each(&members).await {
        Ok(mesh) => mesh,
        Err(errors) => {
            errors.iter().for_each(ui::error);
            let code = errors.iter().find_map(problem::find).map(|p| p.exit);
            return Ok(ExitCode::from(code.unwrap_or(Exit::Unexpected) as u8));
        }
    };
    ui::clusters(&mesh);
    check::usable_addresses(&mesh, fleet.allow_loopback)?;
    let none = Choices::default();
    let findings = shown(&mesh, global, none, work, async |run| {
        check::check(run).await
    })
    .await?;
    Ok(exit(ui::checked(&findings, args.strict), Exit::Preflight))
}

async fn install(args: cli::Install, global: &Global, work: &Work) -> Result<ExitCode> {
    let cli::Install {
        fleet,
        force_conflicts,
    } = args;
    let started = Instant::now();
    let members = named(fleet.ctx1, fleet.remotes.0, global);
    let mesh = mesh::connect(&members, Istiod::Required).await?;
    ui::clusters(&mesh);
    check::usable_addresses(&mesh, fleet.allow_loopback)?;
    let choices = Choices {
        force_conflicts,
        ..Choices::default()
    };
    work.begins(&mesh);
    let mut remembered = true;
    let begun = shown(&mesh, global, choices, work, async |run| -> Result<bool> {
        let findings = check::check(run).await?;
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
    Ok(exit(begun, Exit::Preflight))
}

async fn verify(args: cli::Verify, global: &Global, work: &Work) -> Result<ExitCode> {
    let started = Instant::now();
    let (mesh, absent) =
        mesh::connect_reachable(&members(args.clusters, global)?, Istiod::Optional).await?;
    let expected = mesh
        .all()
        .map(|c| c.name.clone())
        .chain(absent.iter().map(|a| a.name.clone()))
        .collect::<Vec<_>>();
    let with_traffic = args.traffic == cli::Traffic::Sample;
    let mut findings = absent
        .iter()
        .map(|a| Finding::on(Hop::ApiServer, &a.name, Err(format!("{:#}", a.error))))
        .collect::<Vec<_>>();
    findings.extend(
        shown(&mesh, global, Choices::default(), work, async |run| {
            verify::verify(run, &expected, with_traffic).await
        })
        .await,
    );
    Ok(exit(
        ui::verified(&findings, started.elapsed()),
        Exit::NotVerified,
    ))
}

async fn status(args: Clusters, global: &Global, work: &Work) -> Result<ExitCode> {
    let (mesh, absent) = mesh::connect_reachable(&members(args, global)?, Istiod::Optional).await?;
    let none = Choices::default();
    // A cluster that hangs in the middle must not keep the others from being seen.
    let global = &Global {
        timeout: global.timeout.min(status::PATIENCE),
        ..global.clone()
    };
    let rows = shown(&mesh, global, none, work, async |run| {
        status::status(run).await
    })
    .await;
    Ok(exit(ui::statuses(&rows, &absent), Exit::Unexpected))
}

/// Of the clusters only where some are named or remembered: the program's own needs none.
async fn version(args: cli::Version, global: &Global, work: &Work) -> Result<ExitCode> {
    ui::version();
    let named = args.clusters.ctx1.is_some();
    let members = members(args.clusters, global);
    if args.client || (members.is_err() && !named) {
        return Ok(ExitCode::SUCCESS);
    }
    let (mesh, absent) = mesh::connect_reachable(&members?, Istiod::Optional).await?;
    let none = Choices::default();
    let installed = shown(&mesh, global, none, work, async |run| {
        version::installed(run).await
    });
    let complete = ui::installed_versions(&mesh, &installed.await?, &absent);
    Ok(exit(complete, Exit::Unreachable))
}

async fn dashboard(args: cli::Dashboard, global: &Global) -> Result<ExitCode> {
    // The way to the remotes is Kiali's own.
    let home_alone = Members {
        remotes: Vec::new(),
        ..members(args.clusters, global)?
    };
    let mesh = mesh::connect(&home_alone, Istiod::Optional).await?;
    let (events, _quiet) = progress::channel();
    let (records, lease) = bookkeeping(&mesh, &global.namespace);
    let scope = Scope {
        cluster: &mesh.home,
        record: &records[0],
        lease: &lease,
        choices: Choices::default(),
        namespace: &global.namespace,
        progress: events.of(Step::Kiali, &mesh.home.name),
        deadline: Deadline::after(global.timeout),
    };
    let dashboard = Dashboard::open(&scope, args.port).await?;
    if dashboard.taken {
        ui::note(&format!("port {} is taken; using a free one", args.port));
    }
    ui::address(&dashboard.url);
    if !args.no_open && open::that_detached(&dashboard.url).is_err() {
        ui::note("no browser could be opened");
    }
    dashboard
        .serve(&scope, |trouble| ui::note(&trouble))
        .await?;
    Ok(ExitCode::SUCCESS)
}

async fn cleanup(args: cli::Cleanup, global: &Global, work: &Work) -> Result<ExitCode> {
    let started = Instant::now();
    let choices = Choices {
        dry_run: args.dry_run,
        adopted: args.adopted,
        force_finalizers: args.force_finalizers,
        ..Choices::default()
    };
    let mesh = mesh::connect(&members(args.clusters, global)?, Istiod::Optional).await?;
    work.begins(&mesh);
    let report = shown(&mesh, global, choices, work, async |run| {
        cleanup::cleanup(run).await
    })
    .await?;
    Ok(exit(
        ui::cleaned(&mesh, &report, args.dry_run, started.elapsed()),
        Exit::Leftovers,
    ))
}
