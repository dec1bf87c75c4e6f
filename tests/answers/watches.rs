//! Rows 16 to 19: watches that end, send wrong events, fall silent or open late.

use std::time::Duration;

use ambikiali_sandbox::Delays;
use ambikiali_sandbox::fault::{Action, Answer, Entry, Fault, Gate, Proxy, Verb, When};

use serde_json::Value;

use super::behind::Behind;
use crate::support::{get, output, to_an_install, until};

#[test]
fn fault_16_a_watch_that_is_too_old_begins_with_a_new_look() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let gone = Action::Answer(Answer::expired_watch());
        behind.both(Verb::WATCHES, When::FirstOfEach, gone);
        behind.install("180s").await.succeeded();
        behind.disturbed(Verb::Watch);
        looked_again(&behind.home);
        looked_again(&behind.remote);
        behind.converged().await;
    });
}

#[test]
fn fault_17_watches_that_end_every_second_only_mean_more_looks() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let slow = Delays {
            reconcile: Duration::from_secs(4),
            ..Delays::NONE
        };
        let delays = &clusters.sandbox.world().delays;
        *delays.write().unwrap() = slow;
        let end = Action::EndAfter(Duration::from_secs(1));
        behind.both(Verb::WATCHES, When::Always, end);
        behind.install("180s").await.succeeded();
        *delays.write().unwrap() = Delays::NONE;
        for watches in behind.disturbed(Verb::Watch) {
            let kiali = watches
                .iter()
                .filter(|watch| path(watch).ends_with("/kialis"));
            let count = kiali.count();
            assert!(count >= 3, "{count} watches of four seconds' work");
        }
        behind.converged().await;
    });
}

#[test]
fn fault_18_a_watch_that_falls_silent_is_left_for_a_new_look() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        behind.remote.add(Fault {
            verbs: Verb::WATCHES,
            path: "/clusterrolebindings",
            when: When::First(1),
            action: Action::HalfOpen,
        });
        // A wait that ends only at the deadline would fail the command.
        behind.install("60s").await.succeeded();
        assert_eq!(behind.remote.disturbed().len(), 1);
        looked_again(&behind.remote);
        behind.converged().await;
    });
}

#[test]
fn fault_19_what_happens_before_a_watch_opens_is_seen_by_that_watch() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let (gate, paths) = (Gate::closed(), ["/gateways", "/secrets"]);
        for path in paths {
            behind.remote.add(Fault {
                verbs: Verb::WATCHES,
                path,
                when: When::Always,
                action: Action::Hold(gate.clone()),
            });
        }
        let install = behind.start("90s");
        until("both are met while both watches are held", async || {
            let api = ["gateway.networking.k8s.io/v1", "v1"];
            let name = ["istio-system/prometheus-gateway", "kiali/kiali"];
            let gateway = get(clusters.remote(), api[0], "Gateway", name[0]).await;
            let token = get(clusters.remote(), api[1], "Secret", name[1]).await;
            let has = |object: Option<Value>, at| object.is_some_and(|o| o.pointer(at).is_some());
            behind.remote.disturbed().len() == 2
                && has(gateway, "/status/addresses/0/value")
                && has(token, "/data/token")
        })
        .await;
        gate.open();
        output(install).await.succeeded();
        let journal = behind.remote.journal();
        for held in paths {
            let watches = journal.iter().filter(|e| e.verb == Verb::Watch);
            let watches = watches.filter(|e| path(e).ends_with(held));
            assert_eq!(
                watches.count(),
                1,
                "{held} in the first watch, or in a new look"
            );
        }
        behind.converged().await;
    });
}

/// Checks that each object was read again after its last disturbed watch.
#[track_caller]
fn looked_again(proxy: &Proxy) {
    let journal = proxy.journal();
    for (index, watch) in journal.iter().enumerate() {
        if watch.verb != Verb::Watch || watch.done.is_none() {
            continue;
        }
        let object = format!("{}/{}", path(watch), name(watch));
        let again = |entry: &Entry| path(entry) == object;
        assert!(journal[index + 1..].iter().any(again), "{object}");
    }
}

fn path(entry: &Entry) -> &str {
    entry.uri.split('?').next().unwrap_or_default()
}

/// Returns the name of the watched object.
fn name(watch: &Entry) -> &str {
    let (_, after) = watch.uri.split_once("metadata.name%3D").expect("a name");
    after.split('&').next().unwrap_or_default()
}
