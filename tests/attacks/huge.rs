//! Endless responses and huge lists.

use std::time::Duration;

use ambikiali_sandbox::fault::{Action, Fault, Flood, Verb, When};
use tokio::process::Child;

use crate::answers::behind::Behind;
use crate::support::{BOTH, Ended, masked, on_two_clusters, output};

/// Memory limit of a run, in MiB.
const MEMORY: usize = 400;

/// Waits for a run and returns its result and its peak memory in MiB.
async fn measured(child: Child) -> (Ended, usize) {
    let status = format!("/proc/{}/status", child.id().expect("a process"));
    let most = std::cell::Cell::new(0);
    let watched = async {
        loop {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
            most.set(most.get().max(kib.unwrap_or(0) >> 10));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::select! {
        ended = output(child) => ended,
        () = watched => unreachable!("it has no end"),
    };
    assert!(most.get() > 0, "nothing was measured");
    (ended, most.get())
}

fn flood(head: &str, piece: &str, times: usize) -> Action {
    Action::Flood(Flood {
        head: head.into(),
        piece: piece.into(),
        times,
        tail: "]}".into(),
        pause: Duration::ZERO,
    })
}

#[test]
fn attack_12_answers_without_a_measure_are_refused_by_name_and_cost_no_memory() {
    on_two_clusters(async |clusters| {
        let list =
            "{\"kind\":\"DeploymentList\",\"apiVersion\":\"apps/v1\",\"metadata\":{},\"items\":[";
        let object = format!(
            "{{\"metadata\":{{\"name\":\"a\",\"annotations\":{{\"a\":\"{}\"}}}}}},",
            "x".repeat(1000)
        );
        let again = list.replace("{}", "{\"continue\":\"again\"}");
        let endless = usize::MAX;
        let context = "[AK1001] context cluster2 at https://127.0.0.1:PORT: its ";
        let answer = "answer to GET /apis/apps/v1/deployments";
        for (action, said) in [
            (
                flood("", " ", endless),
                format!("{answer} is larger than 64 MiB"),
            ),
            (
                flood(list, &object, 200_000),
                format!("{answer} is larger than 64 MiB"),
            ),
            (
                flood(list, "{},", endless),
                format!("{answer} has more than 500000 objects"),
            ),
            (
                flood(list, "[[],[]],", endless),
                format!("{answer} has more than 500000 objects"),
            ),
            (
                flood("", "[", endless),
                format!("{answer} has more than 500000 objects"),
            ),
            (
                flood(&again, "", 0),
                "list has more than 20000 objects, or does not end".into(),
            ),
        ] {
            let behind = Behind::proxies(clusters).await;
            behind.remote.add(Fault {
                verbs: Verb::READS,
                path: "/deployments",
                when: When::Always,
                action,
            });
            let check = behind.begin(&[&["check"], &BOTH[..]].concat());
            let (ended, memory) = measured(check).await;
            let error = masked(&ended.exited(8).error());
            assert!(error.starts_with(&format!("{context}{said}\n")), "{error}");
            assert!(memory < MEMORY, "{memory} MiB for {said}");
        }
    });
}

#[test]
fn attack_12_all_answers_at_once_and_a_line_without_an_end_cost_no_memory() {
    on_two_clusters(async |clusters| {
        let behind = Behind::proxies(clusters).await;
        behind.install("180s").await.succeeded();
        behind.both(Verb::READS, When::Always, flood("", " ", usize::MAX));
        for command in ["status", "verify", "cleanup"] {
            let (ended, memory) = measured(behind.begin(&[command])).await;
            let ended = ended.exited(8);
            assert!(ended.stderr.contains(" larger than "), "{ended:#?}");
            assert!(memory < MEMORY, "{memory} MiB for {command}");
        }
        behind.heal();
        behind.cleanup().await.succeeded();
        // At network speed: full speed would starve the clusters on this machine.
        let line = Flood {
            head: "{\"type\":\"".into(),
            piece: "x".repeat(64 << 10),
            times: usize::MAX,
            tail: String::new(),
            pause: Duration::from_millis(50),
        };
        behind.both(Verb::WATCHES, When::Always, Action::Flood(line));
        let (ended, memory) = measured(behind.start("150s")).await;
        ended.succeeded();
        assert!(memory < MEMORY, "{memory} MiB for lines without an end");
        behind.disturbed(Verb::Watch);
        behind.heal();
        behind.cleanup().await.succeeded();
    });
}
