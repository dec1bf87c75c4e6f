//! One binary from two or more Istio ambient clusters to one verified, removable multi-cluster
//! Kiali: parse, connect, run one command, say how it ended.

mod cleanup;
mod cli;
mod dashboard;
mod guide;
mod install;
mod k8s;
mod last_install;
mod manifests;
mod mesh;
mod problem;
mod progress;
mod status;
mod steps;
mod ui;
mod verify;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use self::cli::{Cli, Clusters, Command, Global};
use self::dashboard::Dashboard;
use self::guide::Step;
use self::install::Run;
use self::k8s::{Deadline, Scope};
use self::mesh::{Istiod, Member, Members, Mesh};
use self::problem::Exit;
use self::verify::{Finding, Hop};

fn main() -> ExitCode {
    // kube and every TLS connection need exactly one provider, before the first client.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            ui::error(&error.into());
            return ExitCode::from(Exit::Unexpected as u8);
        }
    };
    let writes = cli.command.writes();
    let ended = runtime.block_on(until_interrupted(run(cli), writes));
    // Requests that still hang must not hold the process.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(error) => {
            ui::error(&error);
            ExitCode::from(problem::find(&error).map_or(Exit::Unexpected, |p| p.exit) as u8)
        }
    }
}

async fn until_interrupted(
    command: impl Future<Output = Result<ExitCode>>,
    writes: bool,
) -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stopped = |code: u8| {
        if writes {
            ui::note(
                "interrupted; what was written stays, and the same command again goes on from here",
            );
        }
        Ok(ExitCode::from(code))
    };
    tokio::select! {
        ended = command => ended,
        _ = interrupt.recv() => stopped(130),
        _ = terminate.recv() => stopped(143),
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { command, global } = cli;
    match command {
        Command::Install(args) => install(args, &global).await,
        Command::Verify(args) => verify(args, &global).await,
        Command::Status(args) => status(args, &global).await,
        Command::Dashboard(args) => dashboard(args, &global).await,
        Command::Cleanup(args) => cleanup(args, &global).await,
    }
}

/// Runs a command's work while its events are shown.
async fn shown<T>(mesh: &Mesh, global: &Global, work: impl AsyncFnOnce(&Run<'_>) -> T) -> T {
    let (events, receiver) = progress::channel();
    let screen = tokio::spawn(ui::show(receiver));
    let run = Run {
        mesh,
        namespace: &global.namespace,
        deadline: Deadline::after(global.timeout),
        events,
    };
    let result = work(&run).await;
    drop(run);
    let _ = screen.await;
    result
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

async fn install(args: cli::Install, global: &Global) -> Result<ExitCode> {
    let cli::Install {
        ctx1,
        ctx2,
        api_server2,
        allow_loopback,
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
    install::usable_addresses(&mesh, allow_loopback)?;
    // Before the first write: an install that is interrupted can be cleaned up like any other.
    let remembered = last_install::remember(&global.kubeconfig, &mesh);
    if let Err(error) = &remembered {
        ui::note(&format!(
            "the clusters cannot be remembered, so name them to the other commands too: {error:#}"
        ));
    }
    shown(&mesh, global, async |run| install::install(run).await).await?;
    ui::installed(&mesh, remembered.is_ok(), started.elapsed());
    Ok(ExitCode::SUCCESS)
}

async fn verify(args: cli::Verify, global: &Global) -> Result<ExitCode> {
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
        shown(&mesh, global, async |run| {
            verify::verify(run, &expected, with_traffic).await
        })
        .await,
    );
    Ok(exit(
        ui::verified(&findings, started.elapsed()),
        Exit::NotVerified,
    ))
}

async fn status(args: Clusters, global: &Global) -> Result<ExitCode> {
    let (mesh, absent) = mesh::connect_reachable(&members(args, global)?, Istiod::Optional).await?;
    let rows = shown(&mesh, global, async |run| status::status(run).await).await;
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
    let scope = Scope {
        cluster: &mesh.home,
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

async fn cleanup(args: Clusters, global: &Global) -> Result<ExitCode> {
    let started = Instant::now();
    let mesh = mesh::connect(&members(args, global)?, Istiod::Optional).await?;
    let report = shown(&mesh, global, async |run| cleanup::cleanup(run).await).await;
    Ok(exit(
        ui::cleaned(&mesh, &report, started.elapsed()),
        Exit::Leftovers,
    ))
}
