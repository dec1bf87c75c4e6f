//! Row 43: Ctrl-C and SIGTERM at requests throughout an install and a cleanup. The server hangs on each of these, so
//! that only the signal can end the command.

use ambikiali_sandbox::audit::Mark;
use ambikiali_sandbox::fault::{Action, Entry, Fault, Proxy, Verb, When};
use tokio::process::Command;

use super::behind::Behind;
use crate::support::{Ended, INSTALL, get, on_two_clusters, output, until};

/// How many requests to each cluster are tried.
const POINTS: usize = 6;
/// Printed for an install only; a cleanup cannot be undone.
const BACK: &str = "  to undo:    ambikiali cleanup";

#[test]
fn fault_43_an_interrupt_at_any_request_is_gone_on_with_or_cleaned_up() {
    on_two_clusters(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        behind.install("180s").await.succeeded();
        let proxies = [&behind.home, &behind.remote];
        let all = proxies.map(|proxy| proxy.journal().len());
        behind.cleanup().await.succeeded();
        let mut released = 0;
        for point in 0..2 * POINTS {
            let (proxy, all) = (proxies[point % 2], all[point % 2]);
            // The last few requests depend on the timing of the waits, so skip them.
            let nth = 1 + (point / 2) * (all * 8 / 10) / (POINTS - 1);
            let (signal, code) = [("INT", 130), ("TERM", 143)][point / 2 % 2];
            let action = [Action::Silence, Action::SilenceAfter][point / 3 % 2].clone();
            let marks = clusters.marks();
            let fault = hang(Verb::ALL, nth, action);
            let (held, ended) = interrupted(&behind, proxy, fault, &INSTALL, &[signal]).await;
            assert_eq!(ended.code, code, "{ended:#?}");
            told(&ended, point, &held, &marks, Some(BACK));
            let lease = ("coordination.k8s.io/v1", "Lease", "kiali/ambikiali");
            let lease = get(clusters.home(), lease.0, lease.1, lease.2).await;
            released += usize::from(lease.is_none() && ended.stderr.contains(" written"));
            if point % 3 == 0 {
                behind.install("180s").await.succeeded();
            }
            behind.cleanup().await.succeeded();
        }
        // The Lease cannot be released if a write hangs or if the machine is too slow.
        assert!(released > 0, "the next run has to wait for the Lease");
        let remote = &behind.remote;
        // The first request is an access review. Read-only work ends with the first signal.
        let fault = hang(Verb::WRITES, 5, Action::Silence);
        let both = ["INT", "TERM"];
        let (_, ended) = interrupted(&behind, remote, fault, &INSTALL, &both).await;
        assert!([130, 143].contains(&ended.code), "{ended:#?}");
        assert!(!ended.stderr.contains("interrupted"), "{ended:#?}");
        behind.cleanup().await.succeeded();
    });
}

#[test]
fn fault_43_an_interrupted_cleanup_is_gone_on_with() {
    on_two_clusters(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        for point in 0..POINTS {
            // How far a cleanup gets depends on the machine, so each one starts with a whole install.
            behind.install("180s").await.succeeded();
            let proxy = [&behind.home, &behind.remote][point % 2];
            let (signal, code) = [("INT", 130), ("TERM", 143)][point / 2 % 2];
            let action = [Action::Silence, Action::SilenceAfter][point / 3].clone();
            let fault = hang(&[Verb::Delete], 1 + point / 2, action);
            let marks = clusters.marks();
            let (held, ended) = interrupted(&behind, proxy, fault, &["cleanup"], &[signal]).await;
            assert_eq!(ended.code, code, "{ended:#?}");
            told(&ended, point, &held, &marks, None);
            if point % 2 == 1 {
                behind.cleanup().await.succeeded();
            }
        }
    });
}

fn hang(verbs: &'static [Verb], nth: usize, action: Action) -> Fault {
    Fault {
        verbs,
        path: "",
        when: When::Nth(nth),
        action,
    }
}

/// Runs a command, lets one of its requests hang, and interrupts it there.
async fn interrupted(
    behind: &Behind<'_>,
    proxy: &Proxy,
    fault: Fault,
    arguments: &[&str],
    signals: &[&str],
) -> (Entry, Ended) {
    let before = proxy.disturbed().len();
    proxy.add(fault);
    let mut command = behind.begin(arguments);
    until("the request is made, or the command ends", async || {
        proxy.disturbed().len() > before || command.try_wait().is_ok_and(|ended| ended.is_some())
    })
    .await;
    let Some(pid) = command.id() else {
        panic!("ended without the request: {:#?}", output(command).await);
    };
    let kill = signals.iter().map(|signal| format!("kill -{signal} {pid}"));
    let kill = kill.collect::<Vec<_>>().join("; ");
    let sent = Command::new("sh").args(["-c", &kill]).status().await;
    assert!(sent.expect("a shell").success());
    let ended = output(command).await;
    let held = proxy.disturbed().remove(before);
    behind.heal();
    (held, ended)
}

/// Checks that the summary counts the writes to each cluster and says how to resume and undo. Writes without a response
/// may or may not be in the audit log.
#[track_caller]
fn told(ended: &Ended, point: usize, held: &Entry, marks: &[Mark; 2], back: Option<&'static str>) {
    assert_eq!(ended.stdout, "");
    let (_, told) = ended.stderr.split_once("interrupted; ").expect("a word");
    let mut all = 0;
    let mut lines = Vec::new();
    for (index, (cluster, mark)) in ["cluster1", "cluster2"].into_iter().zip(marks).enumerate() {
        let line = told.lines().find(|line| line.trim().starts_with(cluster));
        lines.extend(line);
        let written = count(line, "written");
        let removed = count(line, "removed");
        let unanswered = count(line, "not answered yet");
        let done = done(mark);
        assert!(
            (written + removed..=written + removed + unanswered).contains(&done),
            "{done} on {cluster}: {told}"
        );
        if is_change(held) && index == point % 2 {
            assert!(unanswered > 0, "{held:?}: {told}");
        }
        all += written;
    }
    if lines.is_empty() {
        return assert_eq!(told, "nothing was written\n");
    }
    lines.insert(0, "these changes stay in place:");
    lines.push("  to resume:  repeat the same command");
    lines.extend(back.filter(|_| all > 0));
    assert_eq!(told.lines().collect::<Vec<_>>(), lines);
}

/// Returns the number before a word.
#[track_caller]
fn count(line: Option<&str>, word: &str) -> usize {
    let line = line.unwrap_or_default();
    let counts = line.trim().split_once(' ').map_or("", |(_, counts)| counts);
    let mut counts = counts.split(", ");
    let number = counts.find_map(|count| count.strip_suffix(word));
    number.map_or(0, |number| number.trim().parse().expect("a number"))
}

fn is_change(entry: &Entry) -> bool {
    [Verb::Write, Verb::Delete].contains(&entry.verb) && !is_beside(entry)
}

/// Whether the summary does not count a request: access reviews, dry runs and the Lease.
fn is_beside(entry: &Entry) -> bool {
    let groups = ["authorization.k8s.io", "coordination.k8s.io"];
    groups.iter().any(|group| entry.uri.contains(group))
}

/// Returns the number of writes that the server executed.
fn done(mark: &Mark) -> usize {
    let writes = mark.requests().unwrap().by_agent("ambikiali").writes();
    let done = writes.iter().filter(|write| write.code < 300);
    done.count()
}
