//! Proves a remote before Kiali gets it: its kubeconfig works unchanged, and its server can be reached from a pod on
//! home.

use std::cell::Cell;
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;

use super::{ACCOUNT, NAME, RemoteAccess, kubeconfig};
use crate::deadline::Deadline;
use crate::k8s::health::Health;
use crate::k8s::{Scope, pods, wait};
use crate::mesh::retry::{Cause, persist};
use crate::mesh::{NO_CA, RemoteKubeconfig};
use crate::problem::{Exit, NAMED_CA, Problem};
use crate::progress::ObjectId;
use crate::visible;

const PATIENCE: Duration = Duration::from_secs(10);
const UNKNOWN: &str = "it names no CA, and the CAs of this machine do not know the certificate";

/// Waits until the kubeconfig that will be mounted may list namespaces, which is the first request of Kiali.
pub async fn prove(remote: &Scope<'_>, access: &RemoteAccess) -> Result<()> {
    if remote.choices.dry_run {
        return Ok(());
    }
    let text = kubeconfig(access)?;
    let unusable = |cause: &str| {
        let (cause, fix) = told(access, cause);
        let cause = format!(
            "{}: the kubeconfig that Kiali would use does not work at {}: {cause}; it was not given to Kiali",
            access.cluster, access.server
        );
        Problem::new(Exit::Unreachable, cause).fix(fix)
    };
    // Parse it with the code that later reads it from the Secret.
    let kubeconfig = RemoteKubeconfig::read(text.as_bytes()).map_err(|fault| unusable(&fault))?;
    let started = proven(remote, &kubeconfig).await;
    started.map_err(|refusal| match refusal {
        Answer::Unknown(_) => not_known(access).into(),
        refusal => unusable(&refusal.cause()).into(),
    })
}

/// Waits until the kubeconfig may list namespaces.
pub async fn proven(remote: &Scope<'_>, kubeconfig: &RemoteKubeconfig) -> Result<(), Answer> {
    let unknown = Cell::new(false);
    let object = ObjectId::cluster_wide("Secret", NAME);
    let started = wait::poll(remote, &object, PATIENCE, || async {
        let answer = answer(kubeconfig, PATIENCE).await;
        unknown.set(matches!(answer, Err(Answer::Unknown(_))));
        match answer {
            Ok(()) => Health::Ready,
            // The server may not know a new account, token or binding yet.
            Err(Answer::Refused(cause) | Answer::Unknown(cause)) => Health::InProgress(cause),
            Err(Answer::Unusable(cause)) => Health::Failed(cause),
        }
    });
    started.await.map_err(|cause| match unknown.get() {
        true => Answer::Unknown(cause),
        false => Answer::Unusable(cause),
    })
}

/// The cause and the fix. The user has not seen the kubeconfig for Kiali, so the message tells where its CA comes
/// from.
fn told(access: &RemoteAccess, cause: &str) -> (String, String) {
    let ca = match &access.ca_flag {
        Some(flag) => format!("a CA of {flag}"),
        None if access.named => "the cluster's own CA".into(),
        None => NAMED_CA.into(),
    };
    let known = match &access.ca_flag {
        Some(flag) => format!("the CAs of this machine ({flag}) do not know its certificate"),
        None => UNKNOWN.into(),
    };
    let told = cause.replace(NAMED_CA, &ca).replace(UNKNOWN, &known);
    let fix = match told == cause {
        false => format!(
            "name the CA that vouches for its certificate: {} FILE",
            access.flag.replace("--api-server", "--ca")
        ),
        true => format!(
            "name an address that this machine and the pods of home reach: {} https://HOST:PORT",
            access.flag
        ),
    };
    (told, fix)
}

/// The fix for a 401 response to a token that the cluster has just issued.
fn not_known(access: &RemoteAccess) -> Problem {
    let (cluster, server, flag) = (&access.cluster, &access.server, &access.flag);
    let (cause, fix) = match access.named {
        false => (
            format!(
                "{server} takes your credentials, but refuses the token of ServiceAccount {ACCOUNT} (401): a front with tokens of its own, like Rancher or Teleport, does not know those of the cluster"
            ),
            format!(
                "name the API server itself, as the pods of home reach it: {flag} https://HOST:PORT"
            ),
        ),
        true => (
            format!(
                "{server} refuses the token of ServiceAccount {ACCOUNT} (401): it is the API server of another cluster, or a front with tokens of its own"
            ),
            format!("name the API server of {cluster} itself: {flag} https://HOST:PORT"),
        ),
    };
    let cause = format!("{cluster}: {cause}; it was not given to Kiali");
    Problem::new(Exit::Unreachable, cause).fix(fix)
}

pub enum Answer {
    /// The server denies the request.
    Refused(String),
    /// The server does not accept the token.
    Unknown(String),
    /// No connection, or a certificate that the CA did not issue.
    Unusable(String),
}

impl Answer {
    pub fn cause(self) -> String {
        match self {
            Answer::Refused(cause) | Answer::Unknown(cause) | Answer::Unusable(cause) => cause,
        }
    }
}

pub async fn answer(kubeconfig: &RemoteKubeconfig, patience: Duration) -> Result<(), Answer> {
    let client = kubeconfig.client().await.map_err(Answer::Unusable)?;
    let api = Api::<Namespace>::all(client);
    let first = ListParams::default().limit(1);
    match persist(Deadline::after(patience), || api.list(&first)).await {
        Ok(_) => Ok(()),
        Err(cause @ Cause::Api(_)) => match cause.status().map(|status| status.code) {
            Some(401) => Err(Answer::Unknown(cause.text())),
            _ => Err(Answer::Refused(cause.text())),
        },
        // Advice for a kubeconfig of the user does not fit the kubeconfig for Kiali.
        Err(cause) => Err(Answer::Unusable(cause.text().replace(NO_CA, UNKNOWN))),
    }
}

/// The pod that tries it.
#[derive(Clone, Copy)]
pub struct AskingPod<'a> {
    pub namespace: &'a str,
    pub pod: &'a str,
    pub container: &'a str,
}

/// Reaches the API server of a remote from the pod of the federating Prometheus, which is beside Kiali. Any response
/// counts, because the wget of BusyBox checks no certificates; `prove` has checked the certificate.
pub async fn reached_from_home(
    home: &Scope<'_>,
    from: AskingPod<'_>,
    access: &RemoteAccess,
) -> Result<()> {
    let AskingPod {
        namespace,
        pod,
        container,
    } = from;
    let url = format!("{}/version", access.server);
    let command = ["wget", "-q", "-T", "5", "-O", "-", &url];
    let output = pods::exec(home, namespace, pod, container, &command, PATIENCE * 2).await?;
    if output.success || answered(&output.stderr) {
        return Ok(());
    }
    let cause = output
        .stderr
        .lines()
        .find(|l| !l.trim().is_empty())
        .unwrap_or("wget failed without a word");
    Err(Problem::new(
        Exit::Unreachable,
        format!(
            "{}: its API server {} cannot be reached from a pod in {}: {}; it was not given to Kiali",
            access.cluster,
            access.server,
            home.cluster.name,
            visible::short(cause.trim(), visible::SAID)
        ),
    )
    .fix(format!("name an address that the pods of home reach: {} https://HOST:PORT", access.flag))
    .into())
}

/// Whether the error of wget shows that the server answered.
fn answered(stderr: &str) -> bool {
    let said = stderr.to_lowercase();
    let reply = [
        "server returned error",
        "http/1",
        "tls error",
        "handshake",
        "alert",
    ];
    let silence = [
        "can't connect",
        "bad address",
        "timed out",
        "refused",
        "unreachable",
        "no route",
    ];
    reply.iter().any(|word| said.contains(word)) && !silence.iter().any(|word| said.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_silence() {
        for reached in [
            "wget: server returned error: HTTP/1.1 401 Unauthorized",
            "wget: server returned error: HTTP/1.1 403 Forbidden",
            "wget: TLS error from peer (alert code 40): handshake failure",
        ] {
            assert!(answered(reached), "{reached}");
        }
        for silent in [
            "wget: can't connect to remote host (10.0.0.2): Connection refused",
            "wget: can't connect to remote host: No route to host",
            "wget: bad address 'api.example'",
            "wget: download timed out",
            "",
        ] {
            assert!(!answered(silent), "{silent}");
        }
    }
}
