//! Checks what Kiali's accounts may change: on home and in each remote, with the token that Kiali uses there.

use std::time::Duration;

use super::{Finding, Hop, Verdict};
use crate::code::Code;
use crate::k8s::rights::{self, Right};
use crate::k8s::{Scope, reviews};
use crate::mesh::ClusterName;
use crate::steps::remote_secret;

const ANSWER: Duration = Duration::from_secs(10);

pub async fn rights(home: &Scope<'_>, expected: &[ClusterName]) -> Vec<Finding> {
    let name = &home.cluster.name;
    let (on_home, on_remotes) = tokio::join!(
        reviews::of_account(home),
        remote_secret::changes(home, expected, ANSWER)
    );
    let on_home = on_home.map_err(|refusal| refusal.text());
    let mut findings = vec![judged(home, name, on_home)];
    let mut on_remotes = on_remotes.unwrap_or_default();
    for remote in expected.iter().filter(|cluster| *cluster != name) {
        let changes = on_remotes.remove(remote.as_str());
        let changes = changes.unwrap_or_else(|| Err("it has no kubeconfig for the cluster".into()));
        findings.push(judged(home, remote, changes));
    }
    findings
}

fn judged(home: &Scope<'_>, cluster: &ClusterName, changes: Result<Vec<Right>, String>) -> Finding {
    let changes = match changes {
        Ok(changes) => changes,
        Err(why) => {
            let text = format!("cannot ask what Kiali may change: {why}");
            return Finding::with_verdict(Hop::Rights, Some(cluster), Verdict::Unproven, text);
        }
    };
    if home.settings.allow_write {
        let text = match changes.is_empty() {
            true => "Kiali may change nothing, although --allow-write allows it",
            false => {
                "Kiali may change workloads and Istio's configuration, as --allow-write allows"
            }
        };
        return Finding::on(Hop::Rights, cluster, Ok(text.into()));
    }
    if changes.is_empty() {
        let asked = reviews::changes(home.namespace).len();
        let text = format!("Kiali only looks: the API server denies it {asked} of {asked} changes");
        return Finding::on(Hop::Rights, cluster, Ok(text));
    }
    let changes = changes.into_iter().map(|right| Right {
        namespace: None,
        ..right
    });
    let changes = rights::lines(&changes.collect::<Vec<_>>()).join(", ");
    let text = format!("Kiali may only look, but its account may {changes}");
    Finding {
        code: Some(Code::KialiMayWrite),
        ..Finding::on(Hop::Rights, cluster, Err(text))
    }
}
