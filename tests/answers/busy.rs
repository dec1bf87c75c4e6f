//! Rows 1, 2, 3 and 10: an overloaded or slow server.

use std::collections::HashSet;
use std::time::Duration;

use ambikiali_sandbox::fault::{Action, Answer, Entry, Fault, Verb, When};

use super::behind::Behind;
use crate::support::{Foreign, progress, to_an_install};

#[test]
fn fault_01_a_busy_server_gets_the_time_that_it_asks_for() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let third = When::Every { nth: 3, times: 10 };
        behind.both(Verb::ALL, third, Action::Answer(Answer::busy(1)));
        let ended = behind.install("180s").await.succeeded();
        for (proxy, cluster) in [(&behind.home, "cluster1"), (&behind.remote, "cluster2")] {
            assert_eq!(proxy.disturbed().len(), 10);
            let told = format!("{cluster}: the API server throttled 10 requests (10 s)\n");
            assert!(ended.stderr.contains(&told), "{}", ended.stderr);
            came_back_after_a_second(&proxy.journal());
        }
        behind.converged().await;
    });
}

/// Checks that each throttled write was retried after a second or later. Other requests may come from two concurrent
/// waits.
#[track_caller]
fn came_back_after_a_second(journal: &[Entry]) {
    for (index, entry) in journal.iter().enumerate() {
        if entry.verb != Verb::Write || entry.done.is_none() {
            continue;
        }
        let again = |later: &&Entry| later.uri == entry.uri && later.method == entry.method;
        let again = journal[index + 1..].iter().find(again).expect("a new try");
        assert!(
            again.at - entry.at >= Duration::from_secs(1),
            "{}",
            entry.uri
        );
    }
}

#[test]
fn fault_02_a_time_beyond_the_deadline_is_not_waited_for() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let operator = "/deployments/kiali-operator";
        behind.remote.add(Fault {
            verbs: Verb::WRITES,
            path: operator,
            when: When::Always,
            action: Action::Answer(Answer::busy(3600)),
        });
        let ended = behind.install("90s").await.exited(8);
        assert_eq!(ended.stdout, "");
        assert_eq!(
            ended.error(),
            "\
kiali operator: cluster2: Deployment kiali/kiali-operator: throttled: asked to wait 3600 s (429 Too Many Requests)
  fix: run the same command again later to continue
"
        );
        assert_eq!(behind.remote.disturbed().len(), 1, "and not asked again");
        behind.heal();
        behind.install("180s").await.succeeded();
        behind.converged().await;
    });
}

/// A user of the remote with the smallest share of API priority and fairness: one request runs, one waits, and the
/// next one is rejected. The share is so small because another, unused level takes most of the 600 seats.
const SMALL_SHARE: &str = r"
apiVersion: v1
kind: ServiceAccount
metadata: {name: small, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: small}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: small, namespace: default}]
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: small}
spec:
  type: Limited
  limited:
    nominalConcurrencyShares: 1
    borrowingLimitPercent: 0
    limitResponse: {type: Queue, queuing: {queues: 1, handSize: 1, queueLengthLimit: 1}}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: PriorityLevelConfiguration
metadata: {name: unused}
spec:
  type: Limited
  limited:
    nominalConcurrencyShares: 1000
    limitResponse: {type: Reject}
---
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: small}
spec:
  priorityLevelConfiguration: {name: small}
  matchingPrecedence: 2
  rules:
    - subjects: [{kind: ServiceAccount, serviceAccount: {name: small, namespace: default}}]
      resourceRules:
        - {verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*']}
      nonResourceRules: [{verbs: ['*'], nonResourceURLs: ['*']}]
";

#[test]
fn fault_03_a_server_whose_queue_is_full_gets_four_requests_at_once() {
    to_an_install(async |clusters| {
        let remote = clusters.remote();
        let share = Foreign::apply(remote, SMALL_SHARE).await;
        let behind = Behind::proxies(clusters).await;
        let token = remote.token("default", "small").await.expect("a token");
        behind.user("cluster2", serde_json::json!({"token": token}));
        behind.install("120s").await.succeeded();
        spared(&behind.remote.journal());
        behind.converged().await;
        share.removed().await;
    });
}

/// Checks that few requests are sent at once after a throttled request was retried. From then on, the binary certainly
/// knows that it is throttled.
#[track_caller]
fn spared(journal: &[Entry]) {
    let mut refused = HashSet::new();
    let known = journal.iter().position(|entry| {
        let request = (&entry.method, &entry.uri);
        let again = refused.contains(&request);
        if entry.code == Some(429) {
            refused.insert(request);
        }
        again
    });
    let known = known.expect("a request that the server refused and that was made again");
    for (index, entry) in journal.iter().enumerate().skip(known) {
        // Requests that were cancelled recently, which the proxy may not have noticed yet.
        let given_up = journal[..index].iter().rev();
        let given_up = given_up
            .take_while(|before| entry.at.duration_since(before.at) < Duration::from_secs(1))
            .filter(|before| before.code.is_none());
        let at_once = entry.in_flight - given_up.count().min(entry.in_flight);
        assert!(at_once <= 4, "{at_once} at once: {entry:?}");
    }
}

#[test]
fn fault_10_a_server_that_takes_two_seconds_is_only_slow() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        behind.remote.add(Fault {
            verbs: Verb::ALL,
            path: "",
            when: When::Always,
            action: Action::Delay(Duration::from_secs(2)),
        });
        let ended = behind.install("180s").await.succeeded();
        let shown = progress(&ended.stderr);
        for step in ["kiali operator", "remote cluster"] {
            let steps = shown.lines().filter(|line| line.starts_with("cluster2"));
            let mut steps = steps.filter(|line| line.contains(step));
            assert!(steps.any(|line| line.contains("  done  ")), "{shown}");
        }
        behind.converged().await;
    });
}
