//! Checks that Kiali can reach each remote, and that it shows each cluster.

use std::time::Duration;

use super::{Finding, Hop, Verdict};
use crate::k8s::Scope;
use crate::mesh::ClusterName;
use crate::steps::{kiali, remote_secret};

/// Kiali hangs for a minute or more if a remote hangs, so wait for less.
const ANSWER: Duration = Duration::from_secs(10);

/// Uses each kubeconfig in Kiali's Secret.
pub async fn access(home: &Scope<'_>, expected: &[ClusterName]) -> Vec<Finding> {
    let name = &home.cluster.name;
    let said = match remote_secret::answers(home, expected, ANSWER).await {
        Ok(said) => said,
        Err(error) => {
            return vec![Finding::on(
                Hop::RemoteAccess,
                name,
                Err(format!("{error:#}")),
            )];
        }
    };
    let remotes = expected.iter().filter(|c| *c != name);
    remotes
        .map(|remote| {
            let seen = match said.get(remote.as_str()) {
                Some(Ok(())) => Ok("Kiali's token works".into()),
                Some(Err(cause)) => {
                    Err(format!("Kiali's kubeconfig for it does not work: {cause}"))
                }
                None => Err(format!(
                    "Secret {}/{} on {name} has no kubeconfig for it",
                    home.namespace,
                    remote_secret::NAME
                )),
            };
            Finding::on(Hop::RemoteAccess, remote, seen)
        })
        .collect()
}

pub async fn view(home: &Scope<'_>, expected: &[ClusterName]) -> Vec<Finding> {
    let name = &home.cluster.name;
    let mut findings = vec![Finding::on(Hop::Kiali, name, sees(home, expected).await)];
    if let Some(login) = &home.settings.login {
        let why = format!(
            "namespaces and control planes not asked for: Kiali shows them only after a login at {}",
            login.issuer
        );
        let skipped = Finding::with_verdict(Hop::Kiali, Some(name), Verdict::Skipped, why);
        findings.push(skipped);
    }
    findings
}

async fn sees(home: &Scope<'_>, expected: &[ClusterName]) -> Result<String, String> {
    let target = kiali::target(home).await.map_err(|e| format!("{e:#}"))?;
    let target = target.ok_or("no Kiali pod is ready")?;
    match kiali::server::blind_spot(home, &target, expected, ANSWER).await {
        Some(spot) => Err(spot),
        None => {
            let names = expected.iter().map(ToString::to_string).collect::<Vec<_>>();
            let names = names.join(", ");
            Ok(match home.settings.login {
                Some(_) => format!("asks for a login, and reaches {names}"),
                None => format!("sees {names}"),
            })
        }
    }
}
