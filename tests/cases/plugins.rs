//! Credential plugins that are slow or never end.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{Ended, command, output};

/// Runs a command with this timeout and plugin.
async fn run(script: &str, timeout: &str) -> Ended {
    let root = tempfile::tempdir().expect("a folder");
    let config = root.path().join("config");
    let exec = serde_json::json!({
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
        "command": "sh", "args": ["-c", script],
    });
    let text = format!(
        "clusters: [{{name: one, cluster: {{server: 'https://127.0.0.1:1'}}}}]\n\
         contexts: [{{name: one, context: {{cluster: one, user: admin}}}}]\n\
         users: [{{name: admin, user: {{exec: {exec}}}}}]\n"
    );
    fs::write(&config, text).expect("a file");
    let arguments = ["check", "--ctx1=one", "--ctx2=one", "--timeout", timeout];
    let child = command(&arguments, &config, root.path()).spawn();
    let ended = output(child.expect("the binary starts")).await;
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
    ended
}

#[tokio::test]
async fn plugin_01_what_it_prints_without_an_end_is_not_kept() {
    for script in ["yes", "yes | tr -d '\\n'"] {
        let ended = run(script, "60s").await.exited(8);
        let said = "error[AK1013]: context one: credential plugin sh printed more than 1 MiB";
        assert!(ended.stderr.contains(said), "{ended:#?}");
    }
    let ended = run("yes >&2", "5s").await.exited(8);
    assert!(ended.stderr.len() < 1 << 20, "{}", ended.stderr.len());
}

#[tokio::test]
async fn plugin_02_one_that_is_waited_for_has_the_time_of_the_command_and_is_heard() {
    let begun = Instant::now();
    let login = "printf 'open https://login.example and type \\033[31mABCD\\n' >&2; exec sleep 600";
    let ended = run(login, "5s").await.exited(8);
    assert!(begun.elapsed() < Duration::from_secs(15));
    for line in [
        "waiting for credential plugin sh\n",
        "sh: open https://login.example and type \\x1b[31mABCD\n",
        "error[AK1013]: context one: credential plugin sh did not answer within 5 s\n",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {ended:#?}");
    }
}

#[tokio::test]
async fn plugin_03_one_that_needs_more_than_twenty_seconds_is_not_given_up() {
    let credential = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"good"}}"#;
    let ended = run(&format!("sleep 22; echo '{credential}'"), "2m").await;
    let through = "error[AK1001]: context one at https://127.0.0.1:1";
    assert!(ended.stderr.contains(through), "{ended:#?}");
}
