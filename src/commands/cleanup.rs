//! `cleanup` of a whole install, or of some of its remotes.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;

use super::{members, named, shown};
use crate::cleanup;
use crate::cli::{self, Clusters, Global, Remote};
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Absent, ClusterName, Istiod, Member, Members, Mesh};
use crate::problem::{self, Exit, Problem};
use crate::result::{self, CleanupResult, Ended};
use crate::session::Session;
use crate::{last_install, out};

pub async fn cleanup(args: cli::Cleanup, global: &Global, work: &Work) -> Result<Ended> {
    let choices = Choices {
        dry_run: args.dry_run,
        adopted: args.adopted,
        delete_data: args.delete_data,
        force_finalizers: args.force_finalizers,
        ..Choices::default()
    };
    if args.only {
        return only(args, choices, global, work).await;
    }
    let started = Instant::now();
    let members = members(args.clusters.ctx1, args.clusters.remotes, global)?;
    let (mesh, absent) = mesh::connect_reachable(&members, Istiod::Optional).await?;
    let way_out = "make the cluster reachable, or run the same command with --forget, which leaves its objects in place";
    let forgotten = forgotten(&members, &mesh, absent, args.forget, |_| way_out.into())?;
    work.begins(&mesh);
    let session = Session::new(mesh, &global.namespace)?;
    let report = shown(&session, global, choices, work, async |run| {
        cleanup::cleanup(run, &forgotten).await
    })
    .await?;
    let mesh = &session.mesh;
    if report.failures.is_empty()
        && !args.dry_run
        && let Err(error) = last_install::forget_options(&mesh.home)
    {
        out::note(&format!(
            "the options of the removed install are still remembered: {error:#}"
        ));
    }
    let (clusters, names) = (result::Cluster::all(mesh), mesh.names());
    let took = started.elapsed();
    Ok(CleanupResult::of(report, clusters, args.dry_run, names, took).into())
}

async fn only(args: cli::Cleanup, choices: Choices, global: &Global, work: &Work) -> Result<Ended> {
    let started = Instant::now();
    let members = leaving(args.clusters, global)?;
    let (mesh, absent) = mesh::connect_reachable(&members, Istiod::Optional).await?;
    let way_out = |member: &Member| {
        format!(
            "make the cluster reachable, or detach it and leave its objects in place: \
             ambikiali cleanup --ctx1 {} --ctx2 {} --only --forget",
            mesh.home.context, member.context
        )
    };
    let forgotten = forgotten(&members, &mesh, absent, args.forget, way_out)?;
    work.begins(&mesh);
    let session = Session::new(mesh, &global.namespace)?;
    let report = shown(&session, global, choices, work, async |run| {
        cleanup::only(run, &forgotten).await
    })
    .await?;
    let mesh = &session.mesh;
    let remotes = mesh.remotes.iter().map(|remote| remote.name.clone());
    let gone = remotes.chain(forgotten).collect::<Vec<_>>();
    let names = gone.iter().map(ClusterName::as_str).collect::<Vec<_>>();
    let took = started.elapsed();
    if report.failures.is_empty()
        && !args.dry_run
        && let Err(error) = last_install::forget(&mesh.home, &gone)
    {
        out::note(&format!(
            "the removed remotes are still remembered, so pass the other clusters to the next commands: {error:#}"
        ));
    }
    let (clusters, names) = (result::Cluster::all(mesh), names.join(", "));
    Ok(CleanupResult::of(report, clusters, args.dry_run, names, took).into())
}

/// The remotes that leave. Home is that of the last install, unless it is named.
fn leaving(clusters: Clusters, global: &Global) -> Result<Members> {
    let Clusters { ctx1, remotes } = clusters;
    if let Some(home) = ctx1 {
        return Ok(named((home, remotes.home), remotes.all, global));
    }
    let remotes = remotes.all;
    let last = last_install::recall(&global.kubeconfig)?;
    if let Some(home) = remotes.iter().find(|r| r.context == last.home.context) {
        let cause = format!(
            "{} is the home cluster, but --only takes remotes",
            home.context
        );
        let problem = Problem::new(Exit::Usage, cause);
        return Err(problem
            .fix("to remove the whole install: ambikiali cleanup")
            .into());
    }
    Ok(with_remotes(last, remotes))
}

/// These remotes, with home as in the last install.
pub fn of_last_home(remotes: Vec<Remote>, kubeconfig: &[PathBuf]) -> Result<Members> {
    let last = last_install::recall(kubeconfig)?;
    Ok(with_remotes(last, remotes))
}

fn with_remotes(last: Members, remotes: Vec<Remote>) -> Members {
    let known = |context: &str| {
        let mut known = last.remotes.iter().filter_map(|r| r.known.clone());
        known.find(|known| known.context == context)
    };
    let remotes = remotes.into_iter().map(|remote| {
        let known = known(&remote.context);
        let then = known.as_ref().and_then(|known| known.kubeconfig.clone());
        Member {
            number: remote.number,
            kubeconfig: remote.own.kubeconfig.or(then),
            known,
            context: remote.context,
            name: remote.own.name,
            prometheus: None,
            api_server: None,
            ca: None,
            tls_server_name: None,
        }
    });
    Members {
        remotes: remotes.collect(),
        ..last
    }
}

/// The names of unreachable remotes, if the user passed --forget.
fn forgotten(
    members: &Members,
    mesh: &Mesh,
    absent: Vec<Absent>,
    allowed: bool,
    way_out: impl Fn(&Member) -> String,
) -> Result<Vec<ClusterName>> {
    let away = |member: &&Member| mesh.remotes.iter().all(|c| c.context != member.context);
    let away = members.remotes.iter().filter(away);
    let name = |(member, absent): (&Member, Absent)| {
        if !allowed {
            return Err(unreachable(&absent, way_out(member)));
        }
        let remembered = || last_install::name(&member.context);
        let known = member.known.as_ref().map(|known| known.name.clone());
        known.or_else(remembered).ok_or_else(|| {
            let cause = format!(
                "context {} is unreachable, and no install on this machine remembers the name of its cluster",
                member.context
            );
            Problem::new(Exit::Unreachable, cause)
                .fix("run the same command on the machine where install ran")
                .into()
        })
    };
    away.zip(absent).map(name).collect()
}

fn unreachable(absent: &Absent, way_out: String) -> anyhow::Error {
    let code = problem::find(&absent.error).and_then(|problem| problem.code);
    let cause = format!("{:#}; nothing was done", absent.error);
    let problem = Problem::new(Exit::Unreachable, cause).fix(way_out);
    match code {
        Some(code) => problem.code(code).into(),
        None => problem.into(),
    }
}
