//! Checks what Kiali's accounts may change: on home and in each remote, with the token that Kiali uses there.

use std::collections::BTreeMap;
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
    let on_home = match on_home {
        // A user who may read but not ask is no reason to fail.
        Err(refusal) if refusal.is_for_rights() => {
            let text = format!("not asked what Kiali may change: {}", refusal.text());
            Finding::with_verdict(Hop::Rights, Some(name), Verdict::Skipped, text)
        }
        on_home => judged(home, name, on_home.map_err(|refusal| refusal.text())),
    };
    let mut findings = vec![on_home];
    let (mut on_remotes, unread) = match on_remotes {
        Ok(on_remotes) => (on_remotes, "it has no kubeconfig for the cluster".into()),
        Err(error) => (BTreeMap::new(), format!("{error:#}")),
    };
    for remote in expected.iter().filter(|cluster| *cluster != name) {
        let changes = on_remotes.remove(remote.as_str());
        let changes = changes.unwrap_or_else(|| Err(unread.clone()));
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
    let (never, granted): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(reviews::is_never_granted);
    if home.settings.account_writes() && never.is_empty() {
        let text = match granted.is_empty() {
            true => "Kiali may change nothing, although --allow-write allows it",
            false => {
                "Kiali may change workloads and Istio's configuration, as --allow-write allows"
            }
        };
        return Finding::on(Hop::Rights, cluster, Ok(text.into()));
    }
    let (what, changes) = match home.settings.account_writes() {
        true => (
            "Kiali may not do this even with --allow-write, but its account may",
            never,
        ),
        false => (
            "Kiali may only look, but its account may",
            [never, granted].concat(),
        ),
    };
    if changes.is_empty() {
        let asked = reviews::changes(home.namespace).len();
        let text = format!(
            "Kiali only looks: the API server denies it {asked} of {asked} changes asked about"
        );
        return Finding::on(Hop::Rights, cluster, Ok(text));
    }
    let changes = changes.into_iter().map(|right| Right {
        namespace: None,
        ..right
    });
    let changes = rights::lines(&changes.collect::<Vec<_>>()).join("; ");
    Finding {
        code: Some(Code::KialiMayWrite),
        ..Finding::on(Hop::Rights, cluster, Err(format!("{what} {changes}")))
    }
}
