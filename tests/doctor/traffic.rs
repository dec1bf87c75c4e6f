//! Causes in the traffic itself.

use ambikiali_sandbox::standin::sample::Failure;

use super::ztunnel::{changed, replaced};
use super::{comes_first, healthy, message};
use crate::support::on_an_install;

#[test]
fn cause_12_connections_that_fail() {
    on_an_install(async |clusters| {
        let _requests = healthy(clusters).await;
        let traffic = &clusters.sandbox.world().traffic;
        traffic.fail(Some(Failure::Connect));
        let cause = comes_first(clusters, "AK1508", Some("cluster2")).await;
        let seen = message(&cause);
        let said = " connections from cluster1 to cluster2 failed in the last 1m (response_flags CONNECT): ";
        assert!(seen.contains(said), "{seen}");
        traffic.fail(None);
    });
}

#[test]
fn cause_13_a_burst_and_then_silence() {
    on_an_install(async |clusters| {
        drop(healthy(clusters).await);
        // Without traffic in the window, and with counters that begin anew.
        comes_first(clusters, "AK1510", None).await;
        let restarted = |pod: &mut serde_json::Value| {
            pod["metadata"]["annotations"]["test/restarted"] = "once".into();
        };
        let home = changed(clusters.home(), restarted).await;
        let remote = changed(clusters.remote(), restarted).await;
        let traffic = &clusters.sandbox.world().traffic;
        // One to each version, which has a series of its own.
        for _ in 0..2 {
            traffic.request("cluster1").await.expect("an answer");
        }
        let cause = comes_first(clusters, "AK1509", None).await;
        let seen = message(&cause);
        assert!(
            seen.contains(" connections were counted in the last 1m, all before the first scrape"),
            "{seen}"
        );
        replaced(clusters.home(), home).await;
        replaced(clusters.remote(), remote).await;
    });
}

#[test]
fn cause_15_no_traffic_in_the_window() {
    on_an_install(async |clusters| {
        drop(healthy(clusters).await);
        let cause = comes_first(clusters, "AK1510", None).await;
        let seen = message(&cause);
        let said = "no counter of traffic grew in the last 1m; ";
        assert!(seen.starts_with(said), "{seen}");
    });
}
