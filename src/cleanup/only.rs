//! `cleanup --only`: some remotes leave, home and the others stay. Home lets go of them first: Kiali
//! forgets their kubeconfigs and is seen without them, and nothing scrapes them any more. Only then they
//! are cleared as by a whole cleanup. Home's record is brought up to date last, so that a run that was
//! cut short is gone on with by the same command.

use anyhow::Result;
use futures::future::{join_all, try_join_all};

use super::{Cleared, ClusterObject, Report, away, clear, end, open};
use crate::guide::Step;
use crate::k8s::apply::Outcome;
use crate::k8s::{kinds, ownership, record};
use crate::mesh::{Cluster, ClusterName};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::run::{Run, step};
use crate::steps::{aggregate_metrics, kiali, remote_secret};

/// The remotes of this run leave, and with them those that do not answer: what is in these stays.
/// An error means that nothing was done.
pub async fn only(run: &Run<'_>, forgotten: &[ClusterName]) -> Result<Report> {
    let mut report = Report::default();
    try_join_all(run.mesh.all().map(|cluster| open(run, cluster))).await?;
    let home = &run.mesh.home;
    let names = leaving(run).into_iter().chain(forgotten.iter().cloned());
    let names = names.collect::<Vec<_>>();
    let given = remote_secret::given(&run.on(Step::RemoteSecret, home)).await?;
    some_stay(run, &names, &given)?;
    match let_go(run, &names, &given).await {
        Ok(changed) => report.changed = changed,
        Err(error) => report.failures.push(error),
    }
    let let_go = report.failures.is_empty();
    let cleared = run.mesh.remotes.iter().map(async |remote| match let_go {
        true => cleared(run, remote).await,
        false => Cleared::default(),
    });
    for (remote, cleared) in run.mesh.remotes.iter().zip(join_all(cleared).await) {
        end(run, remote, cleared, &mut report).await;
    }
    if report.failures.is_empty() && report.left.is_empty() {
        let recorded = recorded(run, &names).await;
        match recorded {
            Ok(changed) => report.changed.extend(changed),
            Err(error) => report.failures.push(error),
        }
    }
    report.left.extend(away::stays(run, forgotten)?);
    Ok(report)
}

/// By the names that home knows them by: a remote that lost its istiod cannot say its own.
fn leaving(run: &Run<'_>) -> Vec<ClusterName> {
    let known = home_record(run).remotes();
    let name = |remote: &Cluster| {
        let found = known.iter().find(|(_, uid)| *uid == remote.uid);
        found.map_or_else(|| remote.name.clone(), |(name, _)| name.clone())
    };
    run.mesh.remotes.iter().map(name).collect()
}

fn home_record<'a>(run: &Run<'a>) -> &'a record::Record {
    run.on(Step::Namespace, &run.mesh.home).record
}

/// A home without a remote is no install that any command would make or verify.
fn some_stay(run: &Run<'_>, leaving: &[ClusterName], given: &[ClusterName]) -> Result<(), Problem> {
    let recorded = home_record(run).remotes();
    let all = recorded.iter().map(|(name, _)| name).chain(given);
    let all = all.collect::<Vec<_>>();
    if all.is_empty() || all.iter().any(|name| !leaving.contains(name)) {
        return Ok(());
    }
    let cause = format!(
        "this would leave no remote: Kiali in {} has none but {}, and an install needs one",
        run.mesh.home.name,
        words(leaving)
    );
    Err(Problem::new(Exit::Preflight, cause).fix("to remove the whole install: ambikiali cleanup"))
}

/// Nothing on home leads to them any more when this returns.
async fn let_go(
    run: &Run<'_>,
    leaving: &[ClusterName],
    given: &[ClusterName],
) -> Result<Vec<ClusterObject>> {
    let home = &run.mesh.home;
    let view = async {
        let secret = step(run, Step::RemoteSecret, home, async |s| {
            remote_secret::take_out(&s, leaving).await
        })
        .await?;
        let Some(secret) = secret else {
            return Ok(Vec::new());
        };
        if !run.choices.dry_run && has_kiali(run)? {
            let stay = given.iter().filter(|name| !leaving.contains(name));
            let stay = std::iter::once(&home.name).chain(stay).cloned();
            let stay = stay.collect::<Vec<_>>();
            step(run, Step::Kiali, home, async |s| {
                let since = ownership::written_at(&secret.live);
                kiali::serving(&s, since, &stay, leaving).await
            })
            .await?;
        }
        let changed = (secret.outcome == Outcome::Changed).then(|| kinds::id(&secret.live));
        anyhow::Ok(changed.into_iter().collect::<Result<Vec<_>>>()?)
    };
    let metrics = step(run, Step::AggregateMetrics, home, async |s| {
        aggregate_metrics::take_out(&s, leaving).await
    });
    let (view, metrics) = tokio::try_join!(view, metrics)?;
    let on_home = |object| ClusterObject {
        cluster: home.name.to_string(),
        object,
    };
    Ok(view.into_iter().chain(metrics).map(on_home).collect())
}

/// An install that was cut short may not have come to it.
fn has_kiali(run: &Run<'_>) -> Result<bool> {
    let cr = kiali::object(run.namespace, &run.mesh.home.name, "", run.images)?;
    let entry = home_record(run).entry(&cr);
    Ok(entry.is_some_and(|entry| entry.uid.is_some()))
}

async fn cleared(run: &Run<'_>, remote: &Cluster) -> Cleared {
    let scope = run.on(Step::Namespace, remote);
    if !run.choices.dry_run && !scope.record.entries().is_empty() {
        let held = run.lease.hold_to_remove(run.deadline).await;
        if let Err(error) = held {
            return Cleared {
                failures: vec![error],
                ..Cleared::default()
            };
        }
    }
    clear(run, remote).await
}

/// What home's record says besides is as it was.
async fn recorded(run: &Run<'_>, leaving: &[ClusterName]) -> Result<Option<ClusterObject>> {
    let home = &run.mesh.home;
    let scope = run.on(Step::Namespace, home);
    if scope.record.entries().is_empty() {
        return Ok(None);
    }
    let known = scope.record.remotes();
    scope.record.let_go(leaving);
    if !run.choices.dry_run {
        record::finish(&scope).await?;
    }
    let changes = known.iter().any(|(name, _)| leaving.contains(name));
    Ok(changes.then(|| ClusterObject {
        cluster: home.name.to_string(),
        object: ObjectId::new("ConfigMap", run.namespace, record::NAME),
    }))
}

fn words(names: &[ClusterName]) -> String {
    let names = names.iter().map(ToString::to_string).collect::<Vec<_>>();
    names.join(", ")
}
