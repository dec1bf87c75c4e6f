//! Of two concurrent installs, the second one stops. An expired Lease is taken over.

use ambikiali_sandbox::Cluster;
use serde_json::Value;

use crate::support::{
    Foreign, INSTALL, get, masked, on_two_clusters, output, to_an_install, until,
};

const LEASE: (&str, &str, &str) = ("coordination.k8s.io/v1", "Lease", "kiali/ambikiali");

/// A Lease of another machine.
const OTHER: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: kiali}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  name: ambikiali
  namespace: kiali
  annotations: {ambikiali.dev/process: another-machine/1/1}
spec: {holderIdentity: carol@laptop (process 7), leaseDurationSeconds: 30}
";

async fn lease(cluster: &Cluster) -> Option<Value> {
    get(cluster, LEASE.0, LEASE.1, LEASE.2).await
}

/// Returns the error without times and user.
fn without_age(error: &str) -> String {
    let words = error.split(' ').collect::<Vec<_>>();
    let mut out = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let seconds = words
            .get(index + 1)
            .is_some_and(|next| next.starts_with('s'));
        let number = word.chars().all(|c| c.is_ascii_digit());
        out.push(if seconds && number && *word != "30" {
            "N"
        } else {
            word
        });
    }
    out.join(" ")
}

#[test]
fn fault_45_a_second_installer_stops_and_names_the_first() {
    to_an_install(async |clusters| {
        let home = clusters.home();
        clusters.sandbox.world().load_balancers.hold_back(true);
        let first = clusters.start(&INSTALL);
        until("the first installer holds the Lease", async || {
            lease(home).await.is_some()
        })
        .await;
        let held = lease(home).await.expect("a Lease");
        let holder = held["spec"]["holderIdentity"]
            .as_str()
            .expect("a holder")
            .to_string();
        let pid = first.id().expect("a process");
        assert!(holder.ends_with(&format!(" (process {pid})")), "{holder}");

        // A concurrent cleanup stops too.
        let second = clusters
            .run(&["cleanup", "--ctx1", "cluster1", "--ctx2", "cluster2"])
            .await;
        assert_eq!(
            without_age(&second.exited(3).error()),
            format!(
                "cluster1: another run is in progress: {holder} for N s (last renewal N s ago), according to Lease kiali/ambikiali
  fix: wait for it to end; if it was killed, its Lease expires 30 s after the last renewal: kubectl --context cluster1 -n kiali get lease ambikiali -o yaml\n"
            )
        );
        clusters.sandbox.world().load_balancers.hold_back(false);
        output(first).await.succeeded();
        assert_eq!(lease(home).await, None, "it is given back");
    });
}

#[test]
fn fault_45_a_lease_is_free_when_its_holder_has_given_no_sign_for_its_life() {
    on_two_clusters(async |clusters| {
        let home = clusters.home();
        let foreign = Foreign::apply(home, OTHER).await;
        let marks = clusters.marks();
        let refused = clusters.install(&[]).await.exited(3);
        let said = refused.error();
        let holder = "another run is in progress: carol@laptop (process 7) for ";
        assert!(said.contains(holder), "{said}");
        for mark in marks {
            let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
            let made = writes
                .iter()
                .filter(|write| write.name != "kiali" && write.code < 300);
            assert_eq!(made.count(), 0, "{writes:#?}");
        }
        until("its life is over", async || {
            let ended = clusters.install(&[]).await;
            ended.code == 0 || {
                assert_eq!(ended.code, 3, "{}", masked(&ended.stderr));
                false
            }
        })
        .await;
        clusters.cleaned().await;
        foreign.removed().await;
    });
}
