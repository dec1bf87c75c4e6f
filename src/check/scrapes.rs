//! Whether the federating Prometheus of an install scrapes in time.

use super::Finding;
use crate::code::Code;
use crate::guide::Step;
use crate::run::Run;
use crate::steps::aggregate_metrics;

/// Only for `check` itself: an install neither causes nor heals it. Returns nothing if the federating Prometheus does
/// not answer, which `status` and `verify` tell.
pub async fn check(run: &Run<'_>) -> Vec<Finding> {
    let home = &run.mesh.home;
    let scope = run.on(Step::AggregateMetrics, home);
    let clusters = run
        .mesh
        .all()
        .map(|cluster| &cluster.name)
        .collect::<Vec<_>>();
    let slow = aggregate_metrics::slow_scrapes(&scope, &clusters).await;
    let findings = slow.unwrap_or_default().into_iter().map(|slow| {
        let server = aggregate_metrics::server(run.namespace);
        Finding::new(Code::SlowScrape, home, server, slow).fix("ambikiali estimate")
    });
    findings.collect()
}
