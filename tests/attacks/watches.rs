//! A wait does not depend on its watch.

use std::time::Duration;

use ambikiali_sandbox::fault::{Action, Fault, Flood, Verb, When};
use serde_json::json;

use crate::answers::behind::Behind;
use crate::support::{on_two_clusters, output, says, to_an_install};

/// Returns a fault that sends a line repeatedly for as long as the watch is open.
fn lines(line: &str, pause: Duration) -> Action {
    Action::Flood(Flood {
        head: String::new(),
        piece: format!("{line}\n"),
        times: usize::MAX,
        tail: String::new(),
        pause,
    })
}

fn event(kind: &str, name: &str) -> String {
    let metadata = json!({"name": name, "namespace": "other", "resourceVersion": "1"});
    let object = json!({"kind": "Thing", "apiVersion": "v1", "metadata": metadata});
    json!({"type": kind, "object": object}).to_string()
}

#[test]
fn attack_16_a_wait_ends_when_its_object_is_ready_whatever_its_watch_says() {
    on_two_clusters(async |clusters| {
        let often = Duration::from_millis(20);
        for (on_home, on_remote) in [
            (
                lines("{]\u{1b}[2J garbage", Duration::from_millis(1)),
                // Half an event, repeatedly.
                lines("{\"type\":", often),
            ),
            (lines("", often), lines(&event("BOOKMARK", ""), often)),
            (
                lines(&event("MODIFIED", "somebody"), often),
                lines(&event("DELETED", "somebody"), often),
            ),
            (
                lines("{\"type\":\"ERROR\",\"object\":{\"code\":500}}", often),
                Action::HalfOpen,
            ),
        ] {
            let behind = Behind::proxies(clusters).await;
            for (proxy, action) in [(&behind.home, &on_home), (&behind.remote, &on_remote)] {
                proxy.add(Fault {
                    verbs: Verb::WATCHES,
                    path: "",
                    when: When::Always,
                    action: action.clone(),
                });
            }
            // The deadline is far away, so a wait that ends only there is noticed.
            let ended = behind.install("150s").await;
            assert_eq!(ended.code, 0, "{on_home:?} {on_remote:?}: {ended:#?}");
            behind.disturbed(Verb::Watch);
            behind.heal();
            behind.cleanup().await.succeeded();
        }
    });
}

#[test]
fn attack_16_a_cluster_that_falls_silent_in_a_wait_is_told_within_seconds() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        clusters.sandbox.world().load_balancers.hold_back(true);
        let mut install = behind.start("120s");
        // On the remote, only the wait remains: other requests end by their own timeout.
        let proven =
            |line: &str| line.contains("cluster2      remote cluster") && line.contains("  done");
        says(&mut install, |said| {
            said.contains("Gateway istio-system/prometheus-gateway") && said.lines().any(proven)
        })
        .await;
        for verbs in [Verb::READS, Verb::WATCHES] {
            behind.remote.add(Fault {
                verbs,
                path: "",
                when: When::Always,
                action: Action::Silence,
            });
        }
        says(&mut install, |said| {
            said.contains("cluster2 has not answered for ")
        })
        .await;
        behind.heal();
        clusters.sandbox.world().load_balancers.hold_back(false);
        output(install).await.succeeded();
    });
}
