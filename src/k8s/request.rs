//! One request to one cluster: sent by the policy of `retry`, and refused in words that name the
//! cluster and the object.

use std::future::Future;

use anyhow::Result as Anyhow;
use kube::core::Status;
use kube::core::response::StatusCause;

use super::Scope;
use super::advice::advice;
use crate::deadline::Deadline;
use crate::mesh::Cluster;
use crate::mesh::retry::{Cause, Stop, persist};
use crate::problem::{self, Exit, Problem};
use crate::progress::ObjectId;

/// Why a request did not do what it should. Turned into an error with `?`.
#[derive(Debug)]
pub struct Refusal {
    cluster: String,
    server: String,
    kubectl: String,
    object: ObjectId,
    cause: Cause,
}

impl Refusal {
    pub fn status(&self) -> Option<&Status> {
        self.cause.status()
    }

    pub fn object(&self) -> &ObjectId {
        &self.object
    }

    /// What the server names one by one.
    pub fn causes(&self) -> &[StatusCause] {
        let details = self.status().and_then(|status| status.details.as_ref());
        details.map_or(&[], |details| &details.causes)
    }

    /// No such object, or no such kind: then the server answers a page, not a Status.
    pub fn is_missing(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// A kind that the server does not serve, or not yet.
    pub fn is_unknown_kind(&self) -> bool {
        let page = |status: &Status| status.message.trim() == problem::UNKNOWN_KIND;
        self.is_missing() && self.status().is_some_and(page)
    }

    /// Of an object in a namespace that is being deleted.
    pub fn is_terminating(&self) -> bool {
        let mut causes = self.causes().iter();
        causes.any(|cause| cause.reason == "NamespaceTerminating")
    }

    /// A webhook in the way says that it may have effects, so that the server asks it nothing.
    pub fn is_without_dry_run(&self) -> bool {
        let said = |status: &Status| status.message.contains("does not support dry run");
        self.status().is_some_and(said)
    }

    /// Of all that a server forbids: what the user may not do, or not give to others.
    pub fn is_for_rights(&self) -> bool {
        let rights = [" cannot ", "attempting to grant RBAC permissions"];
        let said = |status: &Status| rights.iter().any(|words| status.message.contains(words));
        self.status().is_some_and(said)
    }

    pub fn is_unreachable(&self) -> bool {
        self.cause.is_passing()
    }

    pub fn text(&self) -> String {
        match &self.cause {
            Cause::Api(_) => self.cause.text(),
            Cause::Broken(cause) => format!("{} does not answer: {cause}", self.server),
            Cause::Untrusted(cause) => format!("{}: {cause}", self.server),
            Cause::Silent(_) => format!("{}: {}", self.server, self.cause.text()),
            Cause::Stopped(Stop::TooLarge(_)) => format!("{}: {}", self.server, self.cause.text()),
            Cause::Stopped(Stop::NotOurs(_)) => self.cause.text(),
        }
    }

    pub fn problem(&self) -> Problem {
        let problem = |exit| {
            Problem::new(
                exit,
                format!("{}: {}: {}", self.cluster, self.object, self.text()),
            )
        };
        match &self.cause {
            Cause::Api(status) if status.code == 429 => problem(Exit::Unreachable)
                .fix("run the same command again later; it goes on from here"),
            Cause::Api(status) if status.code == 401 => {
                problem(Exit::Unreachable).fix(format!("{} auth whoami", self.kubectl))
            }
            cause if cause.is_passing() => {
                problem(Exit::Unreachable).fix(format!("{} get --raw /readyz", self.kubectl))
            }
            Cause::Stopped(Stop::NotOurs(_)) => problem(Exit::Preflight)
                .fix("let the other run end, then run the same command again"),
            Cause::Stopped(Stop::TooLarge(_)) => problem(Exit::Unreachable).fix(format!(
                "see what answers there in place of an API server: {} version",
                self.kubectl
            )),
            cause => {
                let refused = problem(Exit::Unexpected);
                match cause
                    .status()
                    .and_then(|s| advice(&self.kubectl, &self.object, s))
                {
                    Some(fix) => refused.fix(fix),
                    None => refused,
                }
            }
        }
    }
}

impl From<Refusal> for anyhow::Error {
    fn from(refusal: Refusal) -> anyhow::Error {
        refusal.problem().into()
    }
}

pub async fn send<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Result<T, Refusal>
where
    F: Future<Output = kube::Result<T>>,
{
    send_to(scope.cluster, scope.deadline, object, request).await
}

/// Outside of any step.
pub async fn send_to<T, F>(
    cluster: &Cluster,
    deadline: Deadline,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Result<T, Refusal>
where
    F: Future<Output = kube::Result<T>>,
{
    persist(deadline, request).await.map_err(|cause| Refusal {
        cluster: cluster.name.to_string(),
        server: cluster.server.clone(),
        kubectl: cluster.kubectl.clone(),
        object: object.clone(),
        cause,
    })
}

/// Like `send`; what is not there is None.
pub async fn send_opt<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Result<Option<T>, Refusal>
where
    F: Future<Output = kube::Result<T>>,
{
    match send(scope, object, request).await {
        Ok(answer) => Ok(Some(answer)),
        Err(refusal) if refusal.is_missing() => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// A write: not before this run holds the Lease.
pub async fn change<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Anyhow<Result<T, Refusal>>
where
    F: Future<Output = kube::Result<T>>,
{
    scope.lease.hold(scope.deadline).await?;
    Ok(send(scope, object, request).await)
}
