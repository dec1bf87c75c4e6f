//! Row 43: Ctrl-C and SIGTERM at requests all over an install. The server hangs on each of these, so
//! that an end is the program's own.

use ambikiali_sandbox::audit::Mark;
use ambikiali_sandbox::fault::{Action, Entry, Fault, Proxy, Verb, When};
use tokio::process::Command;

use super::behind::Behind;
use crate::support::{Ended, on_two_clusters, output, until};

/// Of the requests to each cluster.
const POINTS: usize = 6;

#[test]
fn fault_43_an_interrupt_at_any_request_is_gone_on_with_or_cleaned_up() {
    on_two_clusters(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        behind.install("90s").await.succeeded();
        let proxies = [&behind.home, &behind.remote];
        let all = proxies.map(|proxy| proxy.journal().len());
        behind.cleanup().await.succeeded();
        for point in 0..2 * POINTS {
            let (proxy, all) = (proxies[point % 2], all[point % 2]);
            // Whether the last few are made depends on how the waits before them go.
            let nth = 1 + (point / 2) * (all * 8 / 10) / (POINTS - 1);
            let (signal, code) = [("INT", 130), ("TERM", 143)][point / 2 % 2];
            let action = [Action::Silence, Action::SilenceAfter][point / 3 % 2].clone();
            let marks = clusters.marks();
            let (held, ended) = interrupted(&behind, proxy, nth, action, &[signal]).await;
            assert_eq!(ended.code, code, "{ended:#?}");
            told(&ended, point, &held, &marks);
            if point % 3 == 0 {
                behind.install("90s").await.succeeded();
            }
            behind.cleanup().await.succeeded();
        }
        let (_, ended) = interrupted(
            &behind,
            &behind.remote,
            all[1] / 2,
            Action::Silence,
            &["INT", "TERM"],
        )
        .await;
        assert!([130, 143].contains(&ended.code), "{ended:#?}");
        assert!(!ended.stderr.contains("interrupted"), "{ended:#?}");
        behind.cleanup().await.succeeded();
    });
}

/// An install whose nth request to one cluster hangs, and is interrupted there.
async fn interrupted(
    behind: &Behind<'_>,
    proxy: &Proxy,
    nth: usize,
    action: Action,
    signals: &[&str],
) -> (Entry, Ended) {
    let before = proxy.disturbed().len();
    proxy.add(Fault {
        verbs: Verb::ALL,
        path: "",
        when: When::Nth(nth),
        action,
    });
    let install = behind.start("90s");
    until("the request is made", async || {
        proxy.disturbed().len() > before
    })
    .await;
    let pid = install.id().expect("it runs");
    let kill = signals.iter().map(|signal| format!("kill -{signal} {pid}"));
    let kill = kill.collect::<Vec<_>>().join("; ");
    let sent = Command::new("sh").args(["-c", &kill]).status().await;
    assert!(sent.expect("a shell").success());
    let ended = output(install).await;
    behind.heal();
    (proxy.disturbed().remove(before), ended)
}

/// What was written to each cluster is told, by the audit logs' count, and how to go on and back.
#[track_caller]
fn told(ended: &Ended, point: usize, held: &Entry, marks: &[Mark; 2]) {
    assert_eq!(ended.stdout, "");
    let (_, told) = ended.stderr.split_once("interrupted; ").expect("a word");
    let changes = [Verb::Write, Verb::Delete].contains(&held.verb);
    let mut lines = Vec::new();
    let mut all = 0;
    for (index, (cluster, mark)) in ["cluster1", "cluster2"].into_iter().zip(marks).enumerate() {
        let here = changes && index == point % 2;
        // What was done and not answered is in the log, and not known to be done.
        let lost = here && held.done == Some(Action::SilenceAfter);
        let written = done(mark) - usize::from(lost);
        all += written;
        match (written, here) {
            (0, false) => {}
            (0, true) => lines.push(format!("  {cluster:<12}  1 not answered yet")),
            (n, false) => lines.push(format!("  {cluster:<12}  {n} written")),
            (n, true) => lines.push(format!("  {cluster:<12}  {n} written, 1 not answered yet")),
        }
    }
    if lines.is_empty() {
        return assert_eq!(told, "nothing was written\n");
    }
    lines.insert(0, "what was done stays:".into());
    lines.push("  to go on:     the same command again".into());
    if all > 0 {
        lines.push("  to go back:   ambikiali cleanup".into());
    }
    assert_eq!(told.lines().collect::<Vec<_>>(), lines);
}

/// Writes that the server did.
fn done(mark: &Mark) -> usize {
    let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
    let done = writes.iter().filter(|write| write.code < 300);
    done.count()
}
