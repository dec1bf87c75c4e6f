//! The remotes as Kiali reaches them, and the clusters as Kiali shows them.

use std::time::Duration;

use super::{Finding, Hop};
use crate::k8s::Scope;
use crate::mesh::ClusterName;
use crate::steps::{kiali, remote_secret};

/// A remote that hangs makes Kiali hang with it, for a minute and more.
const ANSWER: Duration = Duration::from_secs(10);

/// Each kubeconfig that Kiali was given, used.
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
    vec![Finding::on(
        Hop::Kiali,
        &home.cluster.name,
        sees(home, expected).await,
    )]
}

async fn sees(home: &Scope<'_>, expected: &[ClusterName]) -> Result<String, String> {
    let target = kiali::target(home).await.map_err(|e| format!("{e:#}"))?;
    let target = target.ok_or("no pod of Kiali is ready")?;
    match kiali::server::blind_spot(home, &target, expected, ANSWER).await {
        Some(spot) => Err(spot),
        None => {
            let names = expected.iter().map(ToString::to_string).collect::<Vec<_>>();
            Ok(format!("sees {}", names.join(", ")))
        }
    }
}
