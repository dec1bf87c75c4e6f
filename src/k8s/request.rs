//! One request to one cluster: bounded, retried when that is safe, and refused in words that name
//! the cluster and the object. All requests here are idempotent: reads, server-side applies by
//! name, and deletes by UID.

use std::future::Future;
use std::time::Duration;

use kube::core::Status;

use super::Scope;
use crate::problem::{Exit, Problem, kube_text};
use crate::progress::ObjectId;

/// kube sets no read timeout: a server that accepts and never answers would hang the run.
pub const PATIENCE: Duration = Duration::from_secs(30);
const PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_millis(1500),
];

/// Why a request did not do what it should. Turned into an error with `?`.
#[derive(Debug)]
pub struct Refusal {
    cluster: String,
    server: String,
    context: String,
    object: ObjectId,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Api(Box<Status>),
    Unreachable(String),
}

impl Refusal {
    pub fn status(&self) -> Option<&Status> {
        match &self.cause {
            Cause::Api(status) => Some(status),
            Cause::Unreachable(_) => None,
        }
    }

    /// No such object, or no such kind: then the server answers a page, not a Status.
    pub fn is_missing(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    pub fn is_unreachable(&self) -> bool {
        match &self.cause {
            Cause::Api(status) => transient(status.code),
            Cause::Unreachable(_) => true,
        }
    }

    pub fn text(&self) -> String {
        match &self.cause {
            Cause::Api(status) => kube_text(&kube::Error::Api(status.clone())),
            Cause::Unreachable(cause) => format!("{} does not answer: {cause}", self.server),
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
            Cause::Unreachable(_) => problem(Exit::Unreachable).fix(format!(
                "kubectl --context {} get --raw /readyz",
                self.context
            )),
            Cause::Api(status) if status.code == 401 => problem(Exit::Unreachable)
                .fix(format!("kubectl --context {} auth whoami", self.context)),
            Cause::Api(_) => problem(Exit::Unexpected),
        }
    }
}

impl From<Refusal> for anyhow::Error {
    fn from(refusal: Refusal) -> anyhow::Error {
        refusal.problem().into()
    }
}

/// Sends until there is an answer worth having, the pauses are used up, or the deadline passes.
pub async fn send<T, F>(
    scope: &Scope<'_>,
    object: &ObjectId,
    request: impl Fn() -> F,
) -> Result<T, Refusal>
where
    F: Future<Output = kube::Result<T>>,
{
    let mut pauses = PAUSES.iter();
    loop {
        let patience = scope.deadline.at_most(PATIENCE);
        let cause = match tokio::time::timeout(patience, request()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(kube::Error::Api(status))) => Cause::Api(status),
            Ok(Err(error)) => Cause::Unreachable(kube_text(&error)),
            Err(_) => Cause::Unreachable(format!("nothing for {} s", patience.as_secs())),
        };
        let again = match &cause {
            Cause::Api(status) => transient(status.code),
            Cause::Unreachable(_) => true,
        };
        match pauses
            .next()
            .filter(|pause| again && **pause < scope.deadline.left())
        {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return Err(refusal(scope, object, cause)),
        }
    }
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

fn refusal(scope: &Scope<'_>, object: &ObjectId, cause: Cause) -> Refusal {
    Refusal {
        cluster: scope.cluster.name.to_string(),
        server: scope.cluster.server.clone(),
        context: scope.cluster.context.clone(),
        object: object.clone(),
        cause,
    }
}

/// Answers that a moment may change.
fn transient(code: u16) -> bool {
    matches!(code, 429 | 500 | 502 | 503 | 504)
}
