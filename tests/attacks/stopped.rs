//! A suspended run writes nothing after it may have lost its Lease.

use std::time::Duration;

use ambikiali_sandbox::Cluster;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::support::{
    BOTH, Clusters, get, masked, merge, on_two_clusters, output, remove, says, to_an_install, until,
};

const LEASE: (&str, &str, &str) = ("coordination.k8s.io/v1", "Lease", "kiali/ambikiali");

async fn signal(child: &Child, signal: &str) {
    let pid = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().await;
    assert!(sent.expect("kill").success());
}

async fn lease(home: &Cluster) -> Value {
    get(home, LEASE.0, LEASE.1, LEASE.2).await.expect("a Lease")
}

/// Whether the Lease has expired.
fn is_free(lease: &Value) -> bool {
    let signs = lease["metadata"]["managedFields"]
        .as_array()
        .expect("managers");
    let signs = signs
        .iter()
        .filter_map(|sign| sign["time"].as_str()?.parse::<Timestamp>().ok());
    let last = signs.max().expect("a sign");
    Timestamp::now().duration_since(last).as_secs() > 30
}

/// Returns an install that waits for its load balancers and was suspended until its Lease expired.
async fn stopped(clusters: &Clusters) -> Child {
    clusters.sandbox.world().load_balancers.hold_back(true);
    let install = [&["install"], &BOTH[..], &["--timeout", "600s"]].concat();
    let mut first = clusters.start(&install);
    says(&mut first, |said| {
        said.contains("Gateway istio-system/prometheus-gateway")
    })
    .await;
    // A request between its look at the Lease and the server would still be sent when the run goes on.
    until("nothing more is written", async || {
        let marks = clusters.marks();
        sleep(Duration::from_secs(3)).await;
        marks.iter().all(|mark| {
            let requests = mark.requests().expect("an audit log");
            requests
                .by_agent("ambikiali")
                .writes()
                .but_leases()
                .is_empty()
        })
    })
    .await;
    signal(&first, "-STOP").await;
    until("its Lease is free", async || {
        is_free(&lease(clusters.home()).await)
    })
    .await;
    first
}

#[test]
fn attack_17_a_run_that_was_stopped_beyond_its_lease_writes_nothing_when_it_goes_on() {
    on_two_clusters(async |clusters| {
        let first = stopped(clusters).await;
        let other = json!({
            "metadata": {"annotations": {"ambikiali.dev/process": "another-machine/1/1"}},
            "spec": {"holderIdentity": "carol@laptop (process 7)"},
        });
        merge(clusters.home(), LEASE.0, LEASE.1, LEASE.2, &other).await;
        let held = lease(clusters.home()).await;
        let marks = clusters.marks();
        clusters.sandbox.world().load_balancers.hold_back(false);
        signal(&first, "-CONT").await;
        let ended = output(first).await.exited(3);
        let said = masked(&ended.error());
        assert!(
            said.contains("Lease kiali/ambikiali was taken over by another run"),
            "{said}"
        );
        for mark in marks {
            let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
            let done = writes
                .iter()
                .filter(|write| write.code < 300)
                .collect::<Vec<_>>();
            assert!(done.is_empty(), "{done:#?}");
        }
        assert_eq!(lease(clusters.home()).await, held, "it is the other's");
        remove(clusters.home(), LEASE.0, LEASE.1, LEASE.2).await;
        clusters.cleaned().await;
    });
}

#[test]
fn attack_17_a_run_that_was_stopped_goes_on_when_nobody_came() {
    to_an_install(async |clusters| {
        let first = stopped(clusters).await;
        clusters.sandbox.world().load_balancers.hold_back(false);
        signal(&first, "-CONT").await;
        output(first).await.succeeded();
    });
}

#[test]
fn attack_17_a_lease_that_is_gone_is_not_made_again() {
    on_two_clusters(async |clusters| {
        let first = stopped(clusters).await;
        // As if another run had taken over the Lease and released it.
        remove(clusters.home(), LEASE.0, LEASE.1, LEASE.2).await;
        let marks = clusters.marks();
        clusters.sandbox.world().load_balancers.hold_back(false);
        signal(&first, "-CONT").await;
        output(first).await.exited(3);
        for mark in marks {
            let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
            let done = writes
                .iter()
                .filter(|write| write.code < 300)
                .collect::<Vec<_>>();
            assert!(done.is_empty(), "{done:#?}");
        }
        clusters.cleaned().await;
    });
}
