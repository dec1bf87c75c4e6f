//! Rows 7 and 8: the server executes a write, but its response is lost.

use ambikiali_sandbox::fault::{Action, Answer, Verb, When};

use super::behind::Behind;
use crate::support::on_two_clusters;

#[test]
fn fault_07_a_write_that_was_stored_and_answered_504_is_not_made_twice() {
    let message = "Timeout: request did not complete within the allotted timeout";
    let late = Answer::status(504, "Timeout", message, None);
    answers_are_lost(Action::AnswerAfter(late));
}

#[test]
fn fault_08_a_write_that_was_stored_and_cut_off_is_not_made_twice() {
    answers_are_lost(Action::DropAfter);
}

/// Loses the response to the first try of each write and delete on both clusters.
fn answers_are_lost(how: Action) {
    on_two_clusters(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        behind.both(Verb::CHANGES, When::FirstOfEach, how.clone());
        behind.install("180s").await.succeeded();
        behind.disturbed(Verb::Write);
        behind.converged().await;
        behind.both(Verb::CHANGES, When::FirstOfEach, how);
        behind.cleanup().await.succeeded();
        behind.disturbed(Verb::Delete);
    });
}
