//! What each command does with what the user typed: connect, run it while its events are shown, say how
//! it ended.

mod install;
mod look;
mod render;

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use crate::cli::{self, Cli, Clusters, Command, Global};
use crate::document::{self, Ended};
use crate::images::Images;
use crate::install::Run;
use crate::interrupt::Work;
use crate::k8s::lease::Lease;
use crate::k8s::record::Record;
use crate::k8s::{Choices, Deadline};
use crate::mesh::{self, Istiod, Member, Members, Mesh};
use crate::options::Options;
use crate::problem::Exit;
use crate::progress::Events;
use crate::{cleanup, last_install, progress, ui};

pub async fn run(cli: Cli, work: &Work) -> Result<Ended> {
    let Cli { command, global } = cli;
    match command {
        Command::Check(args) => install::check(args, &global, work).await,
        Command::Plan(args) => install::install(args.into(), &global, work).await,
        Command::Install(args) => install::install(args, &global, work).await,
        Command::Render(args) => render::render(args, &global),
        Command::Verify(args) => look::verify(args, &global, work).await,
        Command::Status(args) => look::status(args, &global, work).await,
        Command::Dashboard(args) => look::dashboard(args, &global).await,
        Command::Cleanup(args) => cleanup(args, &global, work).await,
        Command::Explain(args) => {
            ui::explained(args.code);
            Ok(Ended::done(document::explained(args.code)))
        }
        Command::Version(args) => look::version(args, &global, work).await,
        Command::Images(args) => {
            let images = Images::of(&Options::default().with(&args.asked()));
            ui::images(&images);
            Ok(Ended::done(json!({"images": document::images(&images)})))
        }
        Command::Completions(args) => {
            ui::text(&cli::completions(args.shell)?);
            Ok(Ended::done(json!({})))
        }
        Command::Man(args) => {
            cli::man(&args.folder)?;
            Ok(Ended::done(json!({})))
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
    let result = begun(mesh, global, choices, work, events, command).await;
    let _ = screen.await;
    ui::put_off(mesh);
    result
}

/// Work that is only rehearsed has nothing to tell but notes.
async fn noted<T>(
    mesh: &Mesh,
    global: &Global,
    choices: Choices,
    work: &Work,
    command: impl AsyncFnOnce(&Run<'_>) -> T,
) -> T {
    let (events, receiver) = progress::channel();
    let notes = tokio::spawn(ui::show_notes(receiver));
    let result = begun(mesh, global, choices, work, events, command).await;
    let _ = notes.await;
    result
}

async fn begun<T>(
    mesh: &Mesh,
    global: &Global,
    choices: Choices,
    work: &Work,
    events: Events,
    command: impl AsyncFnOnce(&Run<'_>) -> T,
) -> T {
    let (records, lease) = bookkeeping(mesh, &global.namespace);
    let lease = work.holds(lease);
    let (options, images) = (Options::default(), Images::default());
    let run = Run {
        mesh,
        namespace: &global.namespace,
        deadline: Deadline::after(global.timeout),
        events,
        records: &records,
        lease,
        choices,
        options: &options,
        images: &images,
    };
    let result = command(&run).await;
    drop(run);
    lease.release().await;
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

async fn cleanup(args: cli::Cleanup, global: &Global, work: &Work) -> Result<Ended> {
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
    let mut found = document::removed(&report);
    found["clusters"] = document::clusters(&mesh);
    found["dryRun"] = json!(args.dry_run);
    let clean = ui::cleaned(&mesh, &report, args.dry_run, started.elapsed());
    Ok(Ended::by(clean, Exit::Leftovers, found))
}
