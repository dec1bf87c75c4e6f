//! Sends one request to one cluster with retries. The error names the cluster and the object.

use std::future::Future;

use anyhow::Result as Anyhow;
use kube::core::Status;
use kube::core::response::StatusCause;

use super::Scope;
use super::advice::advice;
use crate::deadline::Deadline;
use crate::mesh::retry::{Cause, Stop, persist};
use crate::mesh::{Cluster, proxy};
use crate::problem::{self, Exit, Problem};
use crate::progress::ObjectId;

/// Why a request failed. Converted into an error with `?`.
#[derive(Debug)]
pub struct RequestError {
    cluster: String,
    /// The server, and the proxy on the way to it.
    route: String,
    kubectl: String,
    object: ObjectId,
    cause: Cause,
}

impl RequestError {
    pub fn status(&self) -> Option<&Status> {
        self.cause.status()
    }

    pub fn object(&self) -> &ObjectId {
        &self.object
    }

    /// The causes in the server's status.
    pub fn causes(&self) -> &[StatusCause] {
        let details = self.status().and_then(|status| status.details.as_ref());
        details.map_or(&[], |details| &details.causes)
    }

    /// The object or its kind does not exist.
    pub fn is_missing(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// The server does not serve this kind, or not yet. It then responds with plain text instead of a Status.
    pub fn is_unknown_kind(&self) -> bool {
        let page = |status: &Status| status.message.trim() == problem::UNKNOWN_KIND;
        self.is_missing() && self.status().is_some_and(page)
    }

    /// The object's namespace is being deleted.
    pub fn is_terminating(&self) -> bool {
        let mut causes = self.causes().iter();
        causes.any(|cause| cause.reason == "NamespaceTerminating")
    }

    /// A webhook with side effects prevents a dry run.
    pub fn is_without_dry_run(&self) -> bool {
        let said = |status: &Status| status.message.contains("does not support dry run");
        self.status().is_some_and(said)
    }

    /// The user lacks a right, or may not grant one. Other 403 errors do not count.
    pub fn is_for_rights(&self) -> bool {
        let rights = [" cannot ", "attempting to grant RBAC permissions"];
        let said = |status: &Status| rights.iter().any(|words| status.message.contains(words));
        self.status().is_some_and(said)
    }

    pub fn is_unreachable(&self) -> bool {
        self.cause.is_transient()
    }

    pub fn text(&self) -> String {
        match &self.cause {
            Cause::Api(_) | Cause::Stopped(Stop::LeaseError(_)) => self.cause.text(),
            Cause::Connection(_) => format!("{} does not answer: {}", self.route, self.cause),
            _ => format!("{}: {}", self.route, self.cause),
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
            Cause::Api(status) if status.code == 429 => {
                problem(Exit::Unreachable).fix("run the same command again later to continue")
            }
            Cause::Api(status) if status.code == 401 => {
                problem(Exit::Unreachable).fix(format!("{} auth whoami", self.kubectl))
            }
            Cause::Proxy(_) => problem(Exit::Unreachable).fix(proxy::fix(&self.kubectl)),
            cause if cause.is_transient() => {
                problem(Exit::Unreachable).fix(format!("{} get --raw /readyz", self.kubectl))
            }
            Cause::Stopped(Stop::LeaseError(_)) => problem(Exit::Preflight)
                .fix("wait for the other run to end, then run the same command again"),
            Cause::Stopped(Stop::TooLarge(_)) => problem(Exit::Unreachable).fix(format!(
                "check what answers there instead of an API server: {} version",
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

impl From<RequestError> for anyhow::Error {
    fn from(refusal: RequestError) -> anyhow::Error {
        refusal.problem().into()
    }
}

pub async fn send<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Result<T, RequestError>
where
    F: Future<Output = kube::Result<T>>,
{
    send_to(scope.cluster, scope.deadline, object, request).await
}

/// Like `send`, outside of a step.
pub async fn send_to<T, F>(
    cluster: &Cluster,
    deadline: Deadline,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Result<T, RequestError>
where
    F: Future<Output = kube::Result<T>>,
{
    persist(deadline, request)
        .await
        .map_err(|cause| RequestError {
            cluster: cluster.name.to_string(),
            route: cluster.transport.route(),
            kubectl: cluster.kubectl.clone(),
            object: object.clone(),
            cause,
        })
}

/// Like `send`, but returns None if the object does not exist.
pub async fn send_opt<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Result<Option<T>, RequestError>
where
    F: Future<Output = kube::Result<T>>,
{
    match send(scope, object, request).await {
        Ok(answer) => Ok(Some(answer)),
        Err(refusal) if refusal.is_missing() => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

/// Sends a write, after taking the Lease.
pub async fn change<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Anyhow<Result<T, RequestError>>
where
    F: Future<Output = kube::Result<T>>,
{
    scope.lease.hold(scope.deadline).await?;
    Ok(send(scope, object, request).await)
}
