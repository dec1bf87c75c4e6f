//! `bundle`: the results of the commands that only look, and what they looked at.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde_json::Value;

use super::doctor::diagnosed;
use super::look::{RECALL, last_install_on, now};
use super::verify::{expected, unreached};
use super::{members, unseen};
use crate::bundle::{self, Bundle, Found, Missing, Overview};
use crate::cli::{self, Global};
use crate::deadline::Deadline;
use crate::doctor::{self, Question};
use crate::interrupt::Work;
use crate::k8s::Choices;
use crate::mesh::{self, Absent, Mesh};
use crate::options::Asked;
use crate::result::{
    BundleResult, CheckResult, Cluster, Ended, StatusResult, Unreachable, VERSION, VerifyResult,
    VersionResult, Versions, Written,
};
use crate::run::{LeftOut, Run};
use crate::session::{HomeRecord, Session};
use crate::verify::{self, Pairs, Probing};
use crate::{check, files, progress, status, ui, version};

/// Time limit for each of the commands whose results are in a bundle.
const RESULT: Duration = Duration::from_secs(60);
/// How far back doctor looks for traffic, as by default.
const WINDOW: Duration = Duration::from_secs(300);

pub async fn bundle(args: cli::Bundle, global: &Global, work: &Work) -> Result<Ended> {
    let place = match args.dry_run {
        true => None,
        false => Some(bundle::place(args.out)?),
    };
    let members = members(args.clusters.ctx1, args.clusters.remotes, global)?;
    let (mut clusters, absent) = mesh::connect_some(&members).await?;
    if clusters.is_empty() {
        let errors = absent.into_iter().map(|absent| absent.error);
        return Ok(Ended::failed(&errors.collect::<Vec<_>>()));
    }
    let has_home = clusters[0].number == members.home.number;
    let remotes = clusters.split_off(1);
    // Without home, the first remote stands in for it where only clusters are read.
    let mesh = Mesh {
        home: clusters.remove(0),
        remotes,
    };
    ui::remark(&format!("reading {}", mesh.names()));
    let mut found = Found::default();
    let session = match has_home {
        true => results(&mut found, mesh, &absent, global, work).await?,
        false => {
            let why = "home does not answer";
            let results = Missing::new(None, "results of check, status, verify and version", why);
            found.missing.push(results);
            Session::new(mesh, &global.namespace)?
        }
    };
    let limited = within(global, bundle::PATIENCE);
    let read = unseen(&session, &limited, Choices::default(), work, async |run| {
        bundle::gather(run, args.since).await
    });
    found.add(read.await);
    found.missing.extend(absent.iter().map(unreachable));
    let names = session.mesh.all().map(|cluster| cluster.name.clone());
    let overview = Overview {
        version: VERSION,
        clusters: &names.collect::<Vec<_>>(),
        since: args.since,
    };
    let bundle = Bundle::of(found, &overview);
    let archive = match place {
        Some(place) => Some(written(&bundle, &place).await?),
        None => None,
    };
    Ok(BundleResult::of(Cluster::all(&session.mesh), &bundle, archive).into())
}

/// The same options with a shorter time limit.
fn within(global: &Global, limit: Duration) -> Global {
    Global {
        timeout: global.timeout.min(limit),
        ..global.clone()
    }
}

fn unreachable(absent: &Absent) -> Missing {
    Missing::new(Some(&absent.name), "cluster", format!("{:#}", absent.error))
}

/// Adds the documents of the commands that only look. One that fails has a document too.
async fn results(
    found: &mut Found,
    mesh: Mesh,
    absent: &[Absent],
    global: &Global,
    work: &Work,
) -> Result<Session> {
    let global = &within(global, RESULT);
    let checked = checked(mesh.clone(), absent, global, work).await;
    let (session, home_record) = last_install_on(mesh, global, RECALL).await?;
    let brief = within(global, status::PATIENCE);
    let none = Choices::default();
    let status = unseen(&session, &brief, none, work, async |run| {
        statuses(run, home_record, absent).await
    });
    let status = status.await;
    let verified = unseen(&session, global, none, work, async |run| {
        verified(run, absent).await
    });
    let verified = verified.await;
    let question = Question {
        window: WINDOW,
        namespace: None,
        service: None,
    };
    let patient = within(global, doctor::PATIENCE);
    let diagnosed = unseen(&session, &patient, none, work, async |run| {
        diagnosed(run, absent, question).await
    });
    let diagnosed = diagnosed.await;
    let versions = unseen(&session, &brief, none, work, async |run| {
        versions(run, absent).await
    });
    let versions = versions.await;
    for (name, kind, result) in [
        ("results/check.json", "CheckResult", checked),
        ("results/status.json", "StatusResult", Ok(status)),
        ("results/verify.json", "VerifyResult", Ok(verified)),
        ("results/doctor.json", "DoctorResult", Ok(diagnosed)),
        ("results/version.json", "VersionResult", versions),
    ] {
        if let Err(error) = &result {
            found
                .missing
                .push(Missing::new(None, name, format!("{error:#}")));
        }
        let ended = result.unwrap_or_else(|error| Ended::failed(&[error]));
        found.document(name, document(&ended, kind));
    }
    Ok(session)
}

fn document(ended: &Ended, kind: &'static str) -> Value {
    serde_json::to_value(ended.document(kind)).unwrap_or_default()
}

/// With the options of the last install, as `check` without flags.
async fn checked(mesh: Mesh, absent: &[Absent], global: &Global, work: &Work) -> Result<Ended> {
    let (events, _quiet) = progress::channel();
    let deadline = Deadline::after(global.timeout);
    let absent = absent.iter().map(|absent| Absent {
        name: absent.name.clone(),
        context: absent.context.clone(),
        error: anyhow!("{:#}", absent.error),
    });
    let (left_out, asked) = (LeftOut::of(absent.collect()), Asked::default());
    let opened =
        Session::for_install(mesh, left_out, &global.namespace, &asked, deadline, &events).await;
    let (session, _) = opened?;
    let checked = unseen(&session, global, Choices::default(), work, async |run| {
        check::check_all(run, &[]).await
    });
    let findings = checked.await?.findings;
    let clusters = Cluster::all(&session.mesh);
    let result = CheckResult {
        clusters,
        findings,
        strict: false,
    };
    Ok(result.into())
}

async fn statuses(run: &Run<'_>, home_record: HomeRecord, absent: &[Absent]) -> Ended {
    let rows = status::status(run, home_record).await;
    let result = StatusResult {
        clusters: Cluster::all(run.mesh),
        components: rows.into_iter().map(Into::into).collect(),
        unreachable: Unreachable::all(absent),
        watched: false,
    };
    result.into()
}

/// Without traffic, so that nothing runs in a pod of others.
async fn verified(run: &Run<'_>, absent: &[Absent]) -> Ended {
    let expected = expected(run.mesh, absent);
    let mut hops = unreached(absent);
    let (started, start) = (now(), Instant::now());
    let verified = verify::verify(run, &expected, Probing::None, Pairs::Home);
    let (verified, installed) = tokio::join!(Box::pin(verified), version::running(run));
    hops.extend(verified.findings);
    let result = VerifyResult {
        client: VERSION,
        started,
        clusters: Cluster::all(run.mesh),
        installed,
        hops,
        flows: verified.flows,
        errors: Vec::new(),
        reports: Vec::new(),
        took: start.elapsed(),
    };
    result.into()
}

async fn versions(run: &Run<'_>, absent: &[Absent]) -> Result<Ended> {
    let versions = Versions {
        clusters: Cluster::all(run.mesh),
        installed: version::installed(run).await?,
        options: run.options.clone(),
        unreachable: Unreachable::all(absent),
    };
    Ok(VersionResult::of_clusters(versions).into())
}

async fn written(bundle: &Bundle, place: &Path) -> Result<Written> {
    let files = bundle.files.clone();
    let packed = files::run_blocking(move || bundle::pack(&files)).await?;
    let path = place.display().to_string();
    let bytes = packed.len();
    ui::remark(&format!(
        "writing {} files, {} bytes, compressed {bytes}, to {path}",
        bundle.files.len(),
        bundle.size()
    ));
    let place = place.to_owned();
    files::run_blocking(move || bundle::write(&place, &packed)).await?;
    Ok(Written { path, bytes })
}
