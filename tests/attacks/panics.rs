//! No input causes a panic.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;

use ambikiali_sandbox::fault::{Action, Answer, Verb, When};

use crate::answers::behind::Behind;
use crate::support::{BOTH, Ended, command, on_two_clusters, output, text};

/// Commands that need no cluster.
const TALKATIVE: [&[&str]; 9] = [
    &["--help"],
    &["--version"],
    &["help", "install"],
    &["version", "--client"],
    &["images"],
    &["images", "-o", "json"],
    &["check", "--list"],
    &["explain", "AK1001", "-o", "yaml"],
    &["completions", "bash"],
];

fn full() -> Stdio {
    let device = OpenOptions::new().write(true).open("/dev/full");
    device.expect("a device that is full").into()
}

#[tokio::test]
async fn attack_15_a_full_device_is_an_error_in_one_line() {
    for arguments in TALKATIVE {
        let mut command = command(arguments, Path::new("/nowhere"), Path::new("/nowhere"));
        let mut child = command.stdout(full()).spawn().expect("the binary starts");
        let stderr = text(child.stderr.take()).await;
        let code = child.wait().await.expect("its end").code();
        let said = "error: stdout: No space left on device\n";
        assert_eq!((code, stderr.as_str()), (Some(1), said), "{arguments:?}");
    }
    // A more specific exit code is kept.
    let wrong = ["status", "--nonsense"];
    let mut command = command(&wrong, Path::new("/nowhere"), Path::new("/nowhere"));
    let child = command.stdout(full()).stderr(full()).spawn();
    let code = child.expect("the binary starts").wait().await;
    assert_eq!(code.expect("its end").code(), Some(2));
}

#[tokio::test]
async fn attack_15_a_reader_that_leaves_is_no_error() {
    for arguments in TALKATIVE {
        let mut command = command(arguments, Path::new("/nowhere"), Path::new("/nowhere"));
        let mut child = command.spawn().expect("the binary starts");
        drop(child.stdout.take());
        let stderr = text(child.stderr.take()).await;
        let code = child.wait().await.expect("its end").code();
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

/// Checks that the run ended by itself with a documented exit code and without a panic.
#[track_caller]
fn no_panic(what: &str, ended: &Ended) {
    assert!(
        [0, 1, 3, 4, 5, 6, 8, 9].contains(&ended.code),
        "{what}: {ended:#?}"
    );
    for word in [
        "panicked",
        "bug in ambikiali",
        "RUST_BACKTRACE",
        "JoinError",
    ] {
        assert!(!ended.stderr.contains(word), "{what}: {ended:#?}");
        assert!(!ended.stdout.contains(word), "{what}: {ended:#?}");
    }
}

#[test]
fn attack_15_no_answer_of_an_api_server_makes_a_panic() {
    on_two_clusters(async |clusters| {
        let deep = "[".repeat(50_000);
        let many = format!("{{\"items\": [{}]}}", ["null"; 5_000].join(","));
        let numbers =
            "{\"metadata\":{\"generation\":1e999,\"resourceVersion\":-1},\"code\":99999999999}";
        let strange = "{\"kind\":\"Status\",\"code\":70000,\"details\":{\"retryAfterSeconds\":-1}}";
        let items = "{\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"\",\"creationTimestamp\":\"9999-99-99\"}}]}";
        let bodies = [
            "",
            "null",
            "0",
            "[]",
            "{}",
            "\"\"",
            "{\"items\":null}",
            "\u{0}\u{1b}[2J",
            &deep,
            &many,
            numbers,
            strange,
            items,
        ];
        let behind = Behind::proxies(clusters).await;
        let check = [&["check"], &BOTH[..]].concat();
        let status = [&["status"], &BOTH[..4]].concat();
        for body in bodies {
            for (code, retry_after) in
                [(200, None), (429, Some(u32::MAX)), (500, None), (999, None)]
            {
                // Skip responses that are retried: they would take too long.
                if code != 200 && body.len() > 100 {
                    continue;
                }
                behind.both(
                    Verb::READS,
                    When::Always,
                    Action::Answer(Answer {
                        code,
                        content_type: "application/json",
                        retry_after,
                        body: body.into(),
                    }),
                );
                let (one, two) = (behind.begin(&check), behind.begin(&status));
                let (one, two) = tokio::join!(output(one), output(two));
                let start = body.chars().take(40).collect::<String>();
                no_panic(&format!("{code} {start:?}"), &one);
                no_panic(&format!("{code} {start:?}"), &two);
                behind.heal();
            }
        }
    });
}
