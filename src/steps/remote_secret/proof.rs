//! The proof of a remote before Kiali is given it: its kubeconfig is used as it is, and its server is
//! reached from where Kiali will stand.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::{NAME, RemoteAccess, kubeconfig};
use crate::k8s::health::Health;
use crate::k8s::{Scope, pods, wait};
use crate::mesh::client_from;
use crate::problem::{Exit, Problem, kube_text, no_answer};
use crate::progress::ObjectId;

const PATIENCE: Duration = Duration::from_secs(10);

/// Uses the very kubeconfig that will be mounted until it may list namespaces, which is the first
/// thing Kiali does with it.
pub async fn prove(remote: &Scope<'_>, access: &RemoteAccess) -> Result<()> {
    let text = kubeconfig(access)?;
    let object = ObjectId::cluster_wide("Secret", NAME);
    let started = wait::poll(remote, &object, PATIENCE, || async {
        match answer(&text, PATIENCE).await {
            Ok(()) => Health::Ready,
            // A moment after the account's binding was made, the server may not know it yet.
            Err(Answer::Refused(cause)) => Health::InProgress(cause),
            Err(Answer::Unusable(cause)) => Health::Failed(cause),
        }
    });
    started.await.map_err(|cause| {
        Problem::new(
            Exit::Unreachable,
            format!(
                "{}: the kubeconfig that Kiali would use does not work at {}: {cause}; it was not given to Kiali",
                access.cluster, access.server
            ),
        )
        .fix(format!("name an address that this machine and the pods of home reach: {} https://HOST:PORT", access.flag))
        .into()
    })
}

pub enum Answer {
    /// The server is there and says no.
    Refused(String),
    /// No connection, or not the server that the CA vouches for.
    Unusable(String),
}

pub async fn answer(kubeconfig: &str, patience: Duration) -> Result<(), Answer> {
    let unusable = |e: &dyn std::fmt::Display| Answer::Unusable(e.to_string());
    let config = Kubeconfig::from_yaml(kubeconfig).map_err(|e| unusable(&e))?;
    let (client, _) = client_from(config, KubeConfigOptions::default())
        .await
        .map_err(|e| unusable(&e))?;
    let api = Api::<Namespace>::all(client);
    match tokio::time::timeout(patience, api.list(&ListParams::default().limit(1))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) => {
            Err(Answer::Refused(kube_text(&kube::Error::Api(status))))
        }
        Ok(Err(error)) => Err(Answer::Unusable(kube_text(&error))),
        Err(_) => Err(Answer::Unusable(no_answer(patience))),
    }
}

/// Reaches a remote's API server from the federating Prometheus' pod: where Kiali will stand. Any
/// answer counts, because BusyBox' wget checks no certificate; that was proven before.
pub async fn reached_from_home(
    home: &Scope<'_>,
    pod: &str,
    container: &str,
    access: &RemoteAccess,
) -> Result<()> {
    let url = format!("{}/version", access.server);
    let command = ["wget", "-q", "-T", "5", "-O", "-", &url];
    let output = pods::exec(home, home.namespace, pod, container, &command, PATIENCE * 2).await?;
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
            cause.trim()
        ),
    )
    .fix(format!("name an address that the pods of home reach: {} https://HOST:PORT", access.flag))
    .into())
}

/// Whether wget's complaint is about an answer, not about the way to it.
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
