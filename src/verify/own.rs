//! Probes of our own in all clusters: refused before anything is written where they cannot be, put there, and removed
//! whatever becomes of the rest of the run.

use std::time::Duration;

use anyhow::Result;
use futures::future::{join_all, try_join_all};

use super::{Finding, Hop};
use crate::code::Code;
use crate::deadline::Deadline;
use crate::guide::Step;
use crate::k8s::record::{self, Found};
use crate::k8s::rights::{self, Right};
use crate::k8s::{Scope, kinds};
use crate::mesh::{Cluster, ClusterName};
use crate::problem::{self, Exit, Problem};
use crate::run::{Run, on_all, step};
use crate::steps::probes::{self, NAMESPACE, Running};

/// How long the removal may take, in addition to the time limit of the command.
pub const REMOVAL: Duration = Duration::from_secs(60);

/// What was written to one cluster, or why not all of it.
pub struct Written<'a> {
    cluster: &'a Cluster,
    written: Result<()>,
}

/// The probes of one cluster.
pub struct Placed<'a> {
    pub cluster: &'a Cluster,
    /// Its pods, or why they do not run.
    pub pods: Result<Running, String>,
}

/// Fails if probes cannot be put into every cluster or would not be recorded there. Writes nothing.
pub async fn look(run: &Run<'_>) -> Result<()> {
    let missing = run.mesh.all().map(|cluster| missing_rights(run, cluster));
    let missing = on_all(missing).await?;
    let missing = missing.into_iter().flatten().collect::<Vec<_>>();
    if !missing.is_empty() {
        let cause = format!(
            "rights are missing that probes need; with --probes sample, verify needs none of them:\n{}",
            missing.join("\n")
        );
        let problem = Problem::new(Exit::Preflight, cause).code(Code::RightsMissing);
        return Err(problem
            .fix("have these granted, or name the context of an administrator")
            .into());
    }
    let looked = run.mesh.all().map(async |cluster| {
        let scope = run.on(Step::Probes, cluster);
        recorded(&scope).await?;
        probes::is_left(&scope).await
    });
    on_all(looked).await?;
    Ok(())
}

/// One line for each missing right, with the cluster.
async fn missing_rights(run: &Run<'_>, cluster: &Cluster) -> Result<Vec<String>> {
    let scope = run.on(Step::Probes, cluster);
    let missing = rights::missing(&scope, needed(run, &scope)?, &[]).await?;
    let lines = rights::lines(&missing).into_iter();
    Ok(lines
        .map(|line| format!("{}: {line}", cluster.name))
        .collect())
}

fn needed(run: &Run<'_>, scope: &Scope<'_>) -> Result<Vec<Right>> {
    let mut needed = Vec::new();
    let mut on = |object: &serde_json::Value, verbs: &[&str]| {
        let kind = kinds::of(object)?;
        let namespace = object["metadata"]["namespace"].as_str();
        let right = |verb: &&str| Right::new(namespace, &kind.group, &kind.plural, verb);
        needed.extend(verbs.iter().map(right));
        anyhow::Ok(())
    };
    for object in probes::on(scope)? {
        on(&object, &["get", "create", "patch", "delete"])?;
        if object["kind"] == "Namespace" || object["kind"] == "Deployment" {
            on(&object, &["watch"])?;
        }
    }
    on(&scope.record.object(run.namespace)?, &["get", "patch"])?;
    if scope.is_home() {
        let verbs = ["get", "create", "patch", "delete"];
        on(&scope.lease.object(), &verbs)?;
    }
    let within = |resource, verb| Right::new(Some(NAMESPACE), "", resource, verb);
    needed.push(within("pods", "list"));
    needed.extend(["get", "create"].map(|verb| within("pods/exec", verb)));
    // Nothing of others may be deleted with the namespace.
    needed.push(Right::new(Some(NAMESPACE), "*", "*", "list"));
    Ok(needed)
}

/// Reads the record, which must be whole: only what it names is removed after a run that was killed.
async fn recorded(scope: &Scope<'_>) -> Result<()> {
    let found = record::open(scope).await?;
    let cluster = &scope.cluster.name;
    let (cause, fix) = match found {
        Found::Whole => return Ok(()),
        Found::Nothing => (
            format!("{cluster}: nothing is installed here, so probes could not be recorded"),
            "run ambikiali install first",
        ),
        Found::Lost(_) | Found::Edited(_) | Found::Foreign => (
            format!(
                "{cluster}: ConfigMap {}/{} is not the record that an install wrote, so probes could not be recorded",
                scope.namespace,
                record::NAME
            ),
            "run ambikiali install, which makes it again",
        ),
    };
    let problem = Problem::new(Exit::Preflight, cause);
    Err(problem
        .fix(format!("{fix}; or verify with --probes sample"))
        .into())
}

/// Takes the Lease, and removes what a killed run left.
pub async fn begin(run: &Run<'_>) -> Result<()> {
    run.lease.hold(run.deadline).await?;
    let begun = run.mesh.all().map(async |cluster| {
        let scope = run.on(Step::Probes, cluster);
        // Again: another run may have written it until the Lease was taken.
        recorded(&scope).await?;
        if run.is_home(cluster) {
            scope.record.go_on_with(run.mesh.remotes.iter());
        }
        if probes::is_left(&scope).await? {
            step(run, Step::Probes, cluster, async |scope| {
                probes::remove_left(&scope).await
            })
            .await?;
            record::keep(&scope).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(begun).await?;
    Ok(())
}

/// Writes the probes to all clusters. Never drop this halfway: a request that is on its way would be executed after the
/// removal.
pub async fn write<'a>(run: &Run<'a>) -> Vec<Written<'a>> {
    let written = run.mesh.all().map(async |cluster| Written {
        cluster,
        written: step(run, Step::Probes, cluster, async |scope| {
            probes::install(&scope).await
        })
        .await,
    });
    join_all(written).await
}

/// Waits until the probes run.
pub async fn place<'a>(run: &Run<'a>, written: &[Written<'a>]) -> Vec<Placed<'a>> {
    let placed = written.iter().map(async |Written { cluster, written }| {
        let scope = run.on(Step::Probes, cluster);
        let pods = match written {
            Ok(()) => Box::pin(probes::ready(&scope))
                .await
                .map_err(|error| text(&error)),
            Err(error) => Err(text(error)),
        };
        match &pods {
            Ok(_) => scope
                .progress
                .done(format!("server and client run in {NAMESPACE}")),
            Err(_) => scope.progress.failed(),
        }
        Placed { cluster, pods }
    });
    join_all(placed).await
}

fn text(error: &anyhow::Error) -> String {
    match problem::find(error) {
        Some(problem) => problem.to_string(),
        None => format!("{error:#}"),
    }
}

/// Removes the probes from all clusters. One finding for each cluster: that they ran and are gone, or what failed.
pub async fn remove(run: &Run<'_>, written: &[Written<'_>], placed: &[Placed<'_>]) -> Vec<Finding> {
    let removed = written.iter().map(async |Written { cluster, written }| {
        let scope = Scope {
            deadline: Deadline::after(REMOVAL),
            ..run.on(Step::Probes, cluster)
        };
        scope.progress.started();
        let removed = async {
            probes::remove(&scope).await?;
            // After a failure, the record goes on to name all that may be left; also if the answer to a write was lost,
            // because it may be executed yet.
            match written.as_ref().is_err_and(is_lost) {
                true => Ok(()),
                false => record::keep(&scope).await,
            }
        };
        let removed = removed.await.inspect_err(|_| scope.progress.failed());
        let placed = placed.iter().find(|one| one.cluster.uid == cluster.uid);
        finding(&cluster.name, placed, removed)
    });
    join_all(removed).await
}

/// Whether a write may have been executed without an answer.
fn is_lost(error: &anyhow::Error) -> bool {
    let exit = problem::find(error).map(|problem| problem.exit);
    matches!(exit, Some(Exit::Unreachable | Exit::TimedOut) | None)
}

fn finding(cluster: &ClusterName, placed: Option<&Placed<'_>>, removed: Result<()>) -> Finding {
    let failed = placed
        .and_then(|placed| placed.pods.as_ref().err())
        .cloned();
    let left = removed.err().map(|error| {
        format!(
            "{}; the next ambikiali cleanup, install or verify --probes own removes what is left",
            text(&error)
        )
    });
    let why = failed.into_iter().chain(left).collect::<Vec<_>>();
    let seen = match why.is_empty() {
        true => Ok(format!(
            "server and client ran in {NAMESPACE}, and are gone"
        )),
        false => Err(why.join("; ")),
    };
    Finding::on(Hop::Probes, cluster, seen)
}
