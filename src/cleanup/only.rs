//! `cleanup --only`: removes some remotes and keeps home and the others. It detaches them from home first: their
//! kubeconfigs are removed, Kiali is checked to run without them, and they are no longer scraped. Then they are cleared
//! as by a whole cleanup. Home's record is updated last, so that the same command resumes an interrupted run.

use anyhow::Result;
use futures::future::join_all;

use super::{Cleared, ClusterObject, Report, away, clear, end, open};
use crate::guide::Step;
use crate::k8s::apply::Outcome;
use crate::k8s::{kinds, ownership, record};
use crate::manifests;
use crate::mesh::{Cluster, ClusterName};
use crate::problem::{Exit, Problem};
use crate::progress::ObjectId;
use crate::run::{Run, on_all, step};
use crate::steps::{aggregate_metrics, kiali, remote_secret};

/// Removes the remotes of this run and the unreachable ones, whose objects stay. On an error, nothing was done.
pub async fn only(run: &Run<'_>, forgotten: &[ClusterName]) -> Result<Report> {
    let mut report = Report::default();
    on_all(run.mesh.all().map(|cluster| open(run, cluster))).await?;
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

/// Uses the names in home's record, because a remote without istiod has no name of its own.
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

/// Fails for the last remote: no command installs or verifies a home without remotes.
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

/// Detaches the remotes: after this, nothing on home refers to them.
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

/// Whether the install created Kiali on home. An interrupted install may not have done so.
fn has_kiali(run: &Run<'_>) -> Result<bool> {
    let objects = kiali::objects(run.namespace, &run.mesh.home.name, "", run.settings)?;
    let entry = home_record(run).entry(manifests::of_kind(&objects, "Kiali")?);
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

/// Updates home's record, and keeps the rest of it.
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
