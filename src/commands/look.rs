//! The commands that only look: `status`, `version`, `dashboard`.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::jiff::Timestamp;

use super::watch::{Watch, watch};
use super::{members, noted, shown, unseen};
use crate::cli::{self, Global};
use crate::dashboard::Dashboard;
use crate::deadline::Deadline;
use crate::guide::Step;
use crate::interrupt::Work;
use crate::k8s::{Choices, Scope};
use crate::login::Login;
use crate::mesh::{self, Istiod, Members, Mesh};
use crate::result::{
    Cluster, DashboardResult, Ended, StatusResult, Unreachable, VersionResult, Versions,
};
use crate::run::Run;
use crate::session::{self, HomeRecord, Session};
use crate::steps::kiali;
use crate::{guide, last_install, limit, out, progress, status, ui, version};

/// For one look at home's record by a command that also works without it.
pub const RECALL: Duration = Duration::from_secs(10);

/// The time by this machine's clock, in whole seconds of UTC.
pub fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

pub async fn status(args: cli::Status, global: &Global, work: &Work) -> Result<Ended> {
    let members = members(args.clusters.ctx1, args.clusters.remotes, global)?;
    let watched = args.watch.is_some() || args.exit_on_drift;
    let look = async |first| statuses(&members, watched, first, global, work).await;
    let Some(every) = args.watch else {
        return look(true).await;
    };
    let watched = Watch {
        every,
        until_bad: args.exit_on_drift,
    };
    watch(&watched, look).await
}

async fn statuses(
    members: &Members,
    watched: bool,
    first: bool,
    global: &Global,
    work: &Work,
) -> Result<Ended> {
    let (mesh, absent) = mesh::connect_reachable(members, Istiod::Optional).await?;
    let (session, home_record) = last_install_on(mesh, global, RECALL).await?;
    let none = Choices::default();
    // A cluster that hangs in the middle must not keep the others from being seen.
    let global = &Global {
        timeout: global.timeout.min(status::PATIENCE),
        ..global.clone()
    };
    let work_of = async |run: &Run<'_>| status::status(run, home_record).await;
    let rows = match first {
        true => shown(&session, global, none, work, work_of).await,
        false => unseen(&session, global, none, work, work_of).await,
    };
    let result = StatusResult {
        clusters: Cluster::all(&session.mesh),
        components: rows.into_iter().map(Into::into).collect(),
        unreachable: Unreachable::all(&absent),
        watched,
    };
    Ok(result.into())
}

/// Of the clusters only where some are named, or remembered and to be found: the program's own needs none.
pub async fn version(args: cli::Version, global: &Global, work: &Work) -> Result<Ended> {
    ui::version();
    let named = args.clusters.ctx1.is_some() || args.clusters.remotes.file.is_some();
    if args.client {
        return Ok(VersionResult::of_client(None).into());
    }
    let members = members(args.clusters.ctx1, args.clusters.remotes, global);
    let known = match members {
        Ok(members) => mesh::look_up(&members).await.map(|()| members),
        Err(error) => Err(error),
    };
    let members = match known {
        Err(_) if !named && !last_install::exists() => {
            return Ok(VersionResult::of_client(None).into());
        }
        Err(error) if !named => {
            return Ok(VersionResult::of_client(Some(format!("{error:#}"))).into());
        }
        members => members?,
    };
    let (mesh, absent) = mesh::connect_reachable(&members, Istiod::Optional).await?;
    let none = Choices::default();
    let (session, home_record) = last_install_on(mesh, global, global.timeout).await?;
    session::told_later(home_record)?;
    let installed = shown(&session, global, none, work, async |run| {
        version::installed(run).await
    })
    .await?;
    let versions = Versions {
        clusters: Cluster::all(&session.mesh),
        installed,
        options: session.options,
        unreachable: Unreachable::all(&absent),
    };
    Ok(VersionResult::of_clusters(versions).into())
}

pub async fn dashboard(args: cli::Dashboard, global: &Global, work: &Work) -> Result<Ended> {
    let cli::Dashboard {
        clusters,
        port,
        no_open,
        graph,
    } = args;
    // The way to the remotes is Kiali's own.
    let home_alone = Members {
        remotes: Vec::new(),
        ..members(clusters.ctx1, clusters.remotes, global)?
    };
    let mesh = mesh::connect(&home_alone, Istiod::Optional).await?;
    let session = Session::new(mesh, &global.namespace)?;
    let none = Choices::default();
    // As far as this machine knows: Kiali itself needs no more.
    let last = last_install::choices(&session.records[0].id);
    let login = last.options.settings().login;
    noted(&session, global, none, work, async |run| {
        let scope = run.on(Step::Kiali, &run.mesh.home);
        served(&scope, login.as_ref(), port, (no_open, graph)).await
    })
    .await
}

async fn served(
    scope: &Scope<'_>,
    login: Option<&Login>,
    port: u16,
    (no_open, graph): (bool, Option<String>),
) -> Result<Ended> {
    let dashboard = Dashboard::open(scope, port).await?;
    limit::lift();
    if dashboard.taken {
        out::note(&format!("port {port} is in use; using a free one instead"));
    }
    if let Some(Login {
        issuer, client_id, ..
    }) = login
    {
        out::note(&format!(
            "the login at {issuer} works only if client {client_id} has the redirect URI {}",
            dashboard.url
        ));
    }
    let namespace = graph.as_deref().unwrap_or(guide::SAMPLE);
    let pages = [
        (
            "Traffic graph",
            kiali::pages::graph(&dashboard.url, namespace),
        ),
        ("Mesh", kiali::pages::mesh(&dashboard.url)),
    ];
    ui::address(&scope.cluster.name, &dashboard.url);
    ui::pages(&pages);
    let first = match graph {
        Some(_) => &pages[0].1,
        None => &dashboard.url,
    };
    if !no_open && open::that_detached(first).is_err() {
        out::note("cannot open a browser");
    }
    dashboard
        .serve(scope, |trouble| out::note(&trouble))
        .await?;
    Ok(DashboardResult {}.into())
}

/// Opens the clusters with what home's record says of the last install.
pub async fn last_install_on(
    mesh: Mesh,
    global: &Global,
    patience: Duration,
) -> Result<(Session, HomeRecord)> {
    let (events, _quiet) = progress::channel();
    let deadline = Deadline::after(patience.min(global.timeout));
    Session::of_last_install(mesh, &global.namespace, deadline, &events).await
}
