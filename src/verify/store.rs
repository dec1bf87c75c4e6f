//! Checks the hops of an install with a store: that each cluster's Prometheus writes to it, and that it answers Kiali.

mod asked;

pub use asked::once;

use std::time::Duration;

use futures::future::join_all;

use super::report::{report_all, report_one};
use super::{Finding, Hop, Verdict};
use crate::code::Code;
use crate::guide::Step;
use crate::k8s::health::Health;
use crate::mesh::ClusterName;
use crate::run::Run;
use crate::steps::cluster_prometheus::{self, remote_write};
use crate::steps::kiali;
use crate::store::Store;

const ANSWER: Duration = Duration::from_secs(10);

/// A finding for each cluster, and one for Kiali.
pub async fn hops(run: &Run<'_>, store: &Store, expected: &[ClusterName]) -> Vec<Finding> {
    let written = expected
        .iter()
        .map(|cluster| report_one(run, Hop::RemoteWrite, cluster, written(run, store, cluster)));
    let home = &run.mesh.home.name;
    let queried = report_one(run, Hop::Store, home, queried(run, store));
    let asked = report_all(
        run,
        Hop::Store,
        expected,
        asked::asked(run, store, expected),
    );
    let (mut findings, queried, asked) = tokio::join!(join_all(written), queried, asked);
    findings.push(queried);
    findings.extend(asked);
    findings
}

async fn written(run: &Run<'_>, store: &Store, name: &ClusterName) -> Finding {
    let finding =
        |verdict, why: &str| Finding::with_verdict(Hop::RemoteWrite, Some(name), verdict, why);
    let Some(cluster) = run.mesh.all().find(|c| c.name == *name) else {
        return finding(Verdict::Unproven, "this machine does not reach it");
    };
    let scope = run.on(Step::RemoteWrite, cluster);
    if cluster.prometheus.is_some() || !cluster_prometheus::is_own(&scope).await {
        let why = "its Prometheus is not managed by ambikiali";
        return finding(Verdict::Skipped, why);
    }
    let sent = async {
        let before = remote_write::counters(&scope).await;
        let before = before.map_err(|error| format!("{error:#}"))?;
        remote_write::sends(&scope, before).await
    };
    let text = format!("writes to {}", store.write_url);
    match sent.await.map(|now| now.refused()) {
        Ok(None) => Finding::on(Hop::RemoteWrite, name, Ok(text)),
        Ok(Some(refused)) => Finding {
            code: Some(Code::SamplesRefused),
            ..Finding::on(Hop::RemoteWrite, name, Ok(format!("{text}, but {refused}")))
        },
        Err(why) => Finding {
            code: Some(Code::NotWritten),
            ..Finding::on(
                Hop::RemoteWrite,
                name,
                Err(format!("does not write to {}: {why}", store.write_url)),
            )
        },
    }
}

async fn queried(run: &Run<'_>, store: &Store) -> Finding {
    let home = run.on(Step::Kiali, &run.mesh.home);
    let name = &run.mesh.home.name;
    let looked = kiali::status_of_store(&home).await;
    let health = looked.into_iter().next().map(|component| component.health);
    if let Some(Health::InProgress(why) | Health::Failed(why)) = health {
        return Finding {
            code: Some(Code::NotQueried),
            ..Finding::on(Hop::Store, name, Err(format!("{}: {why}", store.url)))
        };
    }
    if run.settings.login.is_some() {
        let why = format!(
            "Kiali names {} among its services; whether it answers queries is not tried behind a login",
            store.url
        );
        return Finding::with_verdict(Hop::Store, Some(name), Verdict::Skipped, why);
    }
    let told = match kiali::target(&home).await {
        Ok(Some(target)) => kiali::store::mismatch(&home, &target, store, ANSWER).await,
        _ => None,
    };
    let text = format!("{} answers Kiali", store.url);
    match told {
        None => Finding::on(Hop::Store, name, Ok(text)),
        Some(told) => Finding {
            code: Some(Code::OtherEngine),
            ..Finding::on(Hop::Store, name, Ok(format!("{text}, but {told}")))
        },
    }
}

/// What may keep traffic out of a store that takes samples and answers queries.
pub fn silent(store: &Store) -> String {
    let offset = match store.engine.offset() {
        0 => String::new(),
        seconds => format!("; a store of this kind hides the newest {seconds} s"),
    };
    let labels = store.engine.most_labels().map(|most| {
        let beyond = store.engine.beyond();
        format!("; of a series with more than {most} labels, it {beyond} (AK1461)")
    });
    format!("{offset}{}", labels.unwrap_or_default())
}
