//! Connects and runs each command with the arguments of the user, shows its events, and returns its result.

mod bundle;
mod cleanup;
mod doctor;
mod estimate;
mod install;
mod look;
mod render;
mod reports;
mod rotate;
mod verify;
mod watch;

use std::path::Path;

use anyhow::Result;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::cli::{self, Cli, ClusterFlags, Command, Global, Remotes};
use crate::deadline::Deadline;
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::k8s::lease::Lease;
use crate::mesh::{Member, Members};
use crate::options::Options;
use crate::progress::{Events, Message};
use crate::result::{CompletionsResult, Ended, ExplainResult, ImagesResult, ManResult};
use crate::run::Run;
use crate::session::Session;
use crate::{files, last_install, progress, ui};

pub async fn run(cli: Cli, work: &Work) -> Result<Ended> {
    let Cli {
        command,
        mut global,
    } = cli;
    if let Some(file) = command.file().map(Path::to_owned) {
        let written = files::run_blocking(move || cli::read(&file)).await?;
        if let Some(namespace) = &written.namespace
            && !global.namespace_typed
        {
            global.namespace = namespace.clone();
        }
        global.written = Some(written);
    }
    match command {
        Command::Check(args) => install::check(args, &global, work).await,
        Command::Plan(args) => install::install(args.into(), &global, work).await,
        Command::Install(args) => install::install(args, &global, work).await,
        Command::Render(args) => render::render(args, &global).await,
        Command::Verify(args) => verify::verify(args, &global, work).await,
        Command::Doctor(args) => doctor::doctor(args, &global, work).await,
        Command::Status(args) => look::status(args, &global, work).await,
        Command::Estimate(args) => estimate::estimate(args, &global, work).await,
        Command::Bundle(args) => bundle::bundle(args, &global, work).await,
        Command::Dashboard(args) => look::dashboard(args, &global, work).await,
        Command::Cleanup(args) => cleanup::cleanup(args, &global, work).await,
        Command::Rotate(args) => rotate::rotate(args, &global, work).await,
        Command::Explain(args) => Ok(ExplainResult::of(args.code).into()),
        Command::Version(args) => look::version(args, &global, work).await,
        Command::Images(args) => {
            let images = Options::default().with(&args.asked()).settings().images;
            Ok(ImagesResult::of(&images).into())
        }
        Command::Completions(args) => {
            let shell = args.shell.name();
            let script = cli::completions(args.shell)?;
            Ok(CompletionsResult { shell, script }.into())
        }
        Command::Man(args) => {
            let pages = cli::man(&args.folder)?;
            let folder = args.folder.display().to_string();
            Ok(ManResult { folder, pages }.into())
        }
    }
}

/// Runs a command's work while its events are shown.
async fn shown<T>(
    session: &Session,
    global: &Global,
    choices: Choices,
    work: &Work,
    command: impl AsyncFnOnce(&Run<'_>) -> T,
) -> T {
    let result = seen_by(ui::show, session, global, choices, work, command).await;
    ui::put_off(&session.mesh);
    result
}

/// Runs a command's work and shows only its notes.
async fn noted<T>(
    session: &Session,
    global: &Global,
    choices: Choices,
    work: &Work,
    command: impl AsyncFnOnce(&Run<'_>) -> T,
) -> T {
    seen_by(ui::show_notes, session, global, choices, work, command).await
}

/// Runs a command's work and shows nothing of it, because its result is kept.
async fn unseen<T>(
    session: &Session,
    global: &Global,
    choices: Choices,
    work: &Work,
    command: impl AsyncFnOnce(&Run<'_>) -> T,
) -> T {
    let drop_events = async |events| drop(events);
    seen_by(drop_events, session, global, choices, work, command).await
}

async fn seen_by<T, S>(
    screen: impl FnOnce(UnboundedReceiver<Message>) -> S,
    session: &Session,
    global: &Global,
    choices: Choices,
    work: &Work,
    command: impl AsyncFnOnce(&Run<'_>) -> T,
) -> T
where
    S: Future<Output = ()> + Send + 'static,
{
    let lease = Lease::on(&session.mesh, &session.namespace, &session.records[0].id);
    let lease = work.holds(lease);
    on_screen(screen, async |events| {
        let run = Run {
            mesh: &session.mesh,
            namespace: &session.namespace,
            deadline: Deadline::after(global.timeout),
            events,
            records: &session.records,
            lease,
            seen: &[],
            left_out: &session.left_out,
            choices,
            options: &session.options,
            settings: &session.settings,
        };
        let result = command(&run).await;
        drop(run);
        lease.release().await;
        result
    })
    .await
}

/// Shows the events of some work until it ends.
async fn on_screen<T, S>(
    screen: impl FnOnce(UnboundedReceiver<Message>) -> S,
    work: impl AsyncFnOnce(Events) -> T,
) -> T
where
    S: Future<Output = ()> + Send + 'static,
{
    let (events, receiver) = progress::channel();
    let screen = tokio::spawn(screen(receiver));
    let result = work(events).await;
    let _ = screen.await;
    result
}

/// The clusters from the flags or the file, else those of the last install.
fn members<const NEW: bool>(
    home: Option<String>,
    remotes: Remotes<NEW>,
    global: &Global,
) -> Result<Members> {
    match (&global.written, home) {
        (Some(file), _) => Ok(written(file.clone(), global)),
        (None, Some(home)) => Ok(named((home, remotes.home), remotes.all, global)),
        (None, None) => last_install::recall(&global.kubeconfig),
    }
}

/// The clusters of a file. --kubeconfig overrides the kubeconfigs in the file.
fn written(file: cli::FleetFile, global: &Global) -> Members {
    let mut members = named(file.home, file.remotes, global);
    if !global.kubeconfig.is_empty() {
        members.home.kubeconfig = None;
        members.remotes.iter_mut().for_each(|m| m.kubeconfig = None);
    }
    members
}

fn named(
    (home, own): (String, ClusterFlags),
    remotes: Vec<cli::Remote>,
    global: &Global,
) -> Members {
    let member = |number, context, own: ClusterFlags| Member {
        number,
        context,
        kubeconfig: own.kubeconfig,
        name: own.name,
        prometheus: own.prometheus,
        api_server: own.api_server,
        ca: own.ca,
        tls_server_name: own.tls_server_name,
        known: None,
    };
    let remotes = remotes.into_iter();
    Members {
        kubeconfig: global.kubeconfig.clone(),
        home: member(1, home, own),
        remotes: remotes
            .map(|r| member(r.number, r.context, r.own))
            .collect(),
    }
}
