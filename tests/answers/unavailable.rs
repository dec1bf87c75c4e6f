//! Rows 4, 5, 6 and 9: a server that is reachable but unavailable.

use std::time::Duration;

use ambikiali_sandbox::fault::{Action, Answer, Fault, Verb, When};
use serde_json::json;

use super::behind::Behind;
use crate::support::{masked, on_two_clusters, patch, to_an_install};

/// Returns a fault on each write of the operator's Deployment on the remote.
fn operator_of_remote(action: Action) -> Fault {
    Fault {
        verbs: Verb::WRITES,
        path: "/deployments/kiali-operator",
        when: When::Always,
        action,
    }
}

#[test]
fn fault_04_a_server_that_is_gone_for_five_seconds_is_waited_for() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let gone = Answer::status(
            503,
            "ServiceUnavailable",
            "apiserver is shutting down",
            None,
        );
        let outage = When::For(Duration::from_secs(5));
        behind.both(Verb::READS, outage, Action::Answer(gone.clone()));
        behind.both(Verb::WRITES, outage, Action::Answer(gone));
        behind.install("180s").await.succeeded();
        behind.disturbed(Verb::Read);
        behind.disturbed(Verb::Write);
        behind.converged().await;
    });
}

#[test]
fn fault_05_an_etcd_that_changes_its_leader_is_asked_again() {
    on_two_clusters(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let message = "etcdserver: leader changed";
        let leader = Answer::status(500, "InternalError", message, None);
        let fault = || {
            behind.both(
                Verb::PLAIN,
                When::FirstOfEach,
                Action::Answer(leader.clone()),
            )
        };
        fault();
        behind.install("180s").await.succeeded();
        behind.disturbed(Verb::Read);
        behind.disturbed(Verb::Write);
        behind.converged().await;
        fault();
        behind.cleanup().await.succeeded();
        behind.disturbed(Verb::Delete);
    });
}

#[test]
fn fault_06_a_load_balancers_page_is_asked_past_and_never_shown() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        let page = |code, title| Action::Answer(Answer::html(code, title));
        behind
            .remote
            .add(operator_of_remote(page(502, "Bad Gateway")));
        let ended = behind.install("90s").await.exited(8);
        assert_eq!(ended.stdout, "");
        assert!(!ended.stderr.contains('<'), "{}", ended.stderr);
        assert_eq!(
            error(&ended.stderr),
            "\
error: kiali operator: cluster2: Deployment kiali/kiali-operator: answered 502 Bad Gateway
  fix: kubectl --context cluster2 get --raw /readyz
"
        );
        behind.heal();
        behind.both(Verb::READS, When::FirstOfEach, page(502, "Bad Gateway"));
        let slow = page(504, "Gateway Time-out");
        behind.both(Verb::WRITES, When::FirstOfEach, slow);
        behind.install("180s").await.succeeded();
        behind.disturbed(Verb::Read);
        behind.disturbed(Verb::Write);
        behind.converged().await;
    });
}

#[test]
fn fault_09_a_server_that_never_answers_is_given_up_by_name() {
    to_an_install(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        // Everything else exists, so that only this write can reach the deadline.
        behind.install("180s").await.succeeded();
        let edit = json!({"spec": {"replicas": 0}});
        let operator = "kiali/kiali-operator";
        patch(clusters.remote(), "apps/v1", "Deployment", operator, &edit).await;
        behind.remote.add(operator_of_remote(Action::Silence));
        let ended = behind.install("25s").await.exited(8);
        assert_eq!(ended.stdout, "");
        let said = error(&ended.stderr);
        let (what, waited) = said.split_once("no answer in ").expect("a time");
        assert_eq!(
            what,
            "error: kiali operator: cluster2: Deployment kiali/kiali-operator: https://127.0.0.1:PORT: "
        );
        assert_eq!(
            waited.split_once(" s").expect("seconds").1,
            "\n  fix: kubectl --context cluster2 get --raw /readyz\n"
        );
        behind.heal();
        behind.install("180s").await.succeeded();
        behind.converged().await;
    });
}

/// The output from the error to the end.
fn error(stderr: &str) -> String {
    let begin = stderr.find("error: ").expect("an error");
    masked(&stderr[begin..])
}
