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
use crate::problem::Exit;
use crate::verify::{self, Finding, Hop};
use crate::{cleanup, last_install, preflight, progress, status, ui};

pub async fn run(cli: Cli, work: &Work) -> Result<ExitCode> {
    let Cli { command, global } = cli;
    match command {
        Command::Install(args) => install(args, &global, work).await,
        Command::Verify(args) => verify(args, &global, work).await,
        Command::Status(args) => status(args, &global, work).await,
        Command::Dashboard(args) => dashboard(args, &global).await,
        Command::Cleanup(args) => cleanup(args, &global, work).await,
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
    let records = mesh.all().map(|_| Record::of(mesh, namespace));
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
    match (clusters.ctx1, clusters.ctx2) {
        (Some(home), Some(remote)) => Ok(named(home, remote, None, global)),
        _ => last_install::recall(&global.kubeconfig),
    }
}

fn named(home: String, remote: String, api_server: Option<String>, global: &Global) -> Members {
    let member = |number, context, api_server| Member {
        number,
        context,
        api_server,
        known: None,
    };
    Members {
        kubeconfig: global.kubeconfig.clone(),
        home: member(1, home, None),
        remotes: vec![member(2, remote, api_server)],
    }
}

async fn install(args: cli::Install, global: &Global, work: &Work) -> Result<ExitCode> {
    let cli::Install {
        ctx1,
        ctx2,
        api_server2,
        allow_loopback,
        force_conflicts,
    } = args;
    let started = Instant::now();
    let members = named(ctx1, ctx2, api_server2, global);
    let mesh = mesh::connect(&members, Istiod::Required).await?;
    for (role, cluster) in std::iter::once("home")
        .chain(std::iter::repeat("remote"))
        .zip(mesh.all())
    {
        ui::note(&format!(
            "{role:<6}  {:<12}  context {}  {}",
            cluster.name.to_string(),
            cluster.context,
            cluster.server
        ));
    }
    preflight::usable_addresses(&mesh, allow_loopback)?;
    let choices = Choices {
        force_conflicts,
        ..Choices::default()
    };
    work.begins(&mesh);
    let mut remembered = true;
    shown(&mesh, global, choices, work, async |run| {
        preflight::check(run).await?;
        // Before the first write: an install that is interrupted can be cleaned up like any other.
        if let Err(error) = last_install::remember(&global.kubeconfig, &mesh) {
            remembered = false;
            ui::note(&format!(
                "the clusters cannot be remembered, so name them to the other commands too: {error:#}"
            ));
        }
        install::install(run).await
    })
    .await?;
    ui::installed(&mesh, remembered, started.elapsed());
    Ok(ExitCode::SUCCESS)
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
