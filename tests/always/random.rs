//! Random disturbances of responses and watches: an install converges, or ends with an error after which it can be
//! resumed. A seed determines what happens to which requests.

use std::collections::BTreeMap;
use std::time::Duration;

use ambikiali_sandbox::fault::{Action, Answer, Fault, Verb, When};
use ambikiali_sandbox::snapshot::Snapshot;

use super::named::lost;
use super::seeds::{Random, seeds};
use super::writes::{duplicated, written};
use crate::answers::behind::Behind;
use crate::support::{Ended, INSTALL, on_two_clusters};

/// Short enough that some runs time out, which is one of the errors to resume from.
const DISTURBED: [&str; 2] = ["--timeout", "60s"];

#[test]
fn whatever_happens_to_requests_an_install_converges_or_can_be_gone_on_with() {
    on_two_clusters(async |clusters| {
        let clean = clusters.snapshots().await;
        let mut ends = [BTreeMap::new(), BTreeMap::new()];
        let mut disturbed = 0;
        for seed in seeds(4) {
            println!("seed {seed}");
            let behind = Behind::proxies(clusters).await;
            let codes = weathered(&behind, &clean, &mut Random::new(seed)).await;
            for (ends, code) in ends.iter_mut().zip(codes) {
                *ends.entry(code).or_insert(0) += 1;
            }
            disturbed += behind.home.disturbed().len() + behind.remote.disturbed().len();
        }
        assert!(disturbed > 0, "no request was disturbed");
        let [installs, cleanups] = ends;
        println!(
            "random runs: {disturbed} requests disturbed; runs by exit code: installs {installs:?}, \
             cleanups {cleanups:?}; all gone on with, 0 lost, 0 duplicated, 0 left"
        );
    });
}

/// Returns the exit codes of the disturbed install and cleanup.
async fn weathered(behind: &Behind<'_>, clean: &[Snapshot; 2], random: &mut Random) -> [i32; 2] {
    let clusters = behind.clusters;
    let marks = clusters.marks();
    weather(behind, random);
    let install = behind.run(&[&INSTALL[..6], &DISTURBED].concat()).await;
    behind.heal();
    assert_eq!(lost(clusters).await, Vec::<String>::new(), "not named");
    let installed = ended(&install, &[1, 4, 8, 9]);
    if installed != 0 {
        behind.run(&INSTALL).await.succeeded();
    }
    assert_eq!(duplicated(&marks), Vec::<String>::new(), "created twice");
    let marks = clusters.marks();
    behind.run(&INSTALL).await.succeeded();
    assert_eq!(written(&marks), Vec::<String>::new(), "not converged");
    weather(behind, random);
    let cleanup = behind.run(&[&["cleanup"][..], &DISTURBED].concat()).await;
    behind.heal();
    assert_eq!(lost(clusters).await, Vec::<String>::new(), "not named");
    let cleaned = ended(&cleanup, &[1, 6, 8]);
    if cleaned != 0 {
        behind.run(&["cleanup"]).await.succeeded();
    }
    assert_eq!(clusters.left(clean).await, Vec::<String>::new(), "left");
    [installed, cleaned]
}

/// Checks that the run succeeded or failed with a known exit code, and that no foreign page is quoted.
fn ended(run: &Ended, known: &[i32]) -> i32 {
    assert!(run.code == 0 || known.contains(&run.code), "{run:#?}");
    assert!(!run.stderr.contains("<html>"), "{run:#?}");
    run.code
}

/// Disturbs 5 to 20 % of the requests to each cluster, in ways that the seed determines.
fn weather(behind: &Behind<'_>, random: &mut Random) {
    for proxy in [&behind.home, &behind.remote] {
        let kinds = kinds();
        let mut shares = BTreeMap::new();
        for _ in 0..5 + random.below(16) {
            *shares.entry(random.below(kinds.len())).or_insert(0) += 1;
        }
        for (kind, of_100) in shares {
            let (verbs, action) = kinds[kind].clone();
            let seed = random.next();
            let when = When::Percent { of_100, seed };
            proxy.add(Fault {
                verbs,
                path: "",
                when,
                action,
            });
        }
    }
}

fn kinds() -> Vec<(&'static [Verb], Action)> {
    let status = |code, reason, after| Action::Answer(Answer::status(code, reason, "busy", after));
    let page = |code, title| Action::Answer(Answer::html(code, title));
    let late = Answer::status(504, "Timeout", "stored, and not told", None);
    let second = Duration::from_secs(1);
    vec![
        (Verb::PLAIN, status(429, "TooManyRequests", Some(1))),
        (Verb::PLAIN, status(429, "TooManyRequests", None)),
        (Verb::PLAIN, status(503, "ServiceUnavailable", None)),
        (Verb::PLAIN, status(500, "InternalError", None)),
        (Verb::PLAIN, page(502, "Bad Gateway")),
        (Verb::PLAIN, page(504, "Gateway Time-out")),
        (Verb::PLAIN, Action::Drop),
        (Verb::PLAIN, Action::CutBody),
        (Verb::PLAIN, Action::Delay(second * 2)),
        (Verb::CHANGES, Action::AnswerAfter(late)),
        (Verb::CHANGES, Action::DropAfter),
        (Verb::WRITES, status(409, "Conflict", None)),
        (Verb::WATCHES, status(429, "TooManyRequests", Some(1))),
        (Verb::WATCHES, Action::Answer(Answer::expired_watch())),
        (Verb::WATCHES, Action::EndAfter(second)),
        (Verb::WATCHES, Action::Delay(second)),
        (Verb::WATCHES, Action::Drop),
        (Verb::WATCHES, Action::HalfOpen),
        (Verb::STREAMS, Action::Delay(second)),
        (Verb::STREAMS, Action::Drop),
    ]
}
