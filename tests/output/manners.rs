//! The output flags: --quiet, --verbose, --log-format, --ascii, and colours on a terminal.

use serde_json::Value;

use crate::cli::run;
use crate::support::{Ended, Terminal};

const BOTH: [&str; 4] = ["--ctx1", "east", "--ctx2", "west"];

/// Checks that each line is a JSON object with a time and a level.
#[track_caller]
pub fn logged(ended: &Ended) -> Vec<Value> {
    let lines = ended.stderr.lines().map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>().expect("a log of JSON");
    for line in &lines {
        let time = line["time"].as_str().expect("a time");
        assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
        assert!(line["level"].is_string(), "{line}");
    }
    lines
}

#[tokio::test]
async fn an_error_is_an_object_for_a_log() {
    let arguments = [&["status"], &BOTH[..], &["--log-format", "json"]].concat();
    let ended = run(&arguments).await.exited(8);
    assert_eq!(ended.stdout, "");
    let lines = logged(&ended);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!(lines[0]["level"], "error");
    assert_eq!(lines[0]["code"], "AK1001");
    assert_eq!(lines[0]["fix"], "kubectl --context east version");
}

#[tokio::test]
async fn each_try_of_a_request_is_told_when_asked_for() {
    let arguments = [&["status"], &BOTH[..]].concat();
    let told = [&arguments[..], &["-v"]].concat();
    let told = run(&told).await.exited(8).stderr;
    let first = told.lines().next().unwrap_or_default();
    let (request, took) = first.split_once(" no answer ").expect("a request");
    let (method, address) = request.split_once(' ').expect("a method");
    assert_eq!(method, "GET", "{told}");
    assert!(address.starts_with("https://127.0.0.1:1/ap"), "{told}");
    let (number, unit) = took.split_once(' ').expect("a time");
    assert!(number.parse::<u64>().is_ok() && unit == "ms", "{told}");

    let logging = [&arguments[..], &["-v", "--log-format", "json"]].concat();
    let lines = logged(&run(&logging).await.exited(8));
    let requests = lines.iter().filter(|line| line["level"] == "debug");
    let requests = requests.collect::<Vec<_>>();
    assert!(requests.len() > 1, "{lines:#?}");
    for request in requests {
        assert_eq!(request["method"], "GET", "{request}");
        assert_eq!(request["server"], "https://127.0.0.1:1", "{request}");
        assert_eq!(request["status"], Value::Null, "{request}");
        assert!(request["milliseconds"].is_u64(), "{request}");
    }
}

#[tokio::test]
async fn nothing_beyond_ascii_is_printed_when_asked_for() {
    let install = ["install", "--ctx1", "\u{f6}st\u{2026}", "--ctx2", "west"];
    let ended = run(&install).await.exited(3);
    assert!(ended.stderr.contains("\u{f6}st\u{2026}"), "{ended:#?}");
    let cause = "no context \"\u{f6}st\u{2026}\" in the kubeconfig; it has: east, west";
    for form in super::FORMS {
        let arguments = [&install[..], &["--ascii", "-o", form]].concat();
        let ended = run(&arguments).await.exited(3);
        assert!(ended.stdout.is_ascii(), "{ended:#?}");
        assert!(ended.stderr.is_ascii(), "{ended:#?}");
        assert!(ended.stderr.contains("\"?st...\""), "{ended:#?}");
        if form != "text" {
            let document = super::schema::read(form, &ended).document;
            let document = document.expect("a document");
            assert_eq!(document["errors"][0]["message"], cause);
        }
    }
}

#[tokio::test]
async fn a_terminal_gets_colours_unless_the_user_wants_none() {
    let nowhere = std::path::Path::new("/nonexistent");
    for (environment, coloured) in [(None, true), (Some(("NO_COLOR", "1")), false)] {
        let size = (24, 100);
        let arguments = ["explain", "AK1103"];
        let terminal = Terminal::start(&arguments, nowhere, nowhere, size, environment);
        let (terminal, code) = terminal.ended().await;
        assert_eq!(code, 0);
        let first = terminal.rows().remove(0);
        assert_eq!(first, "error[AK1103]: no GatewayClass istio");
        assert_eq!(terminal.raw().contains('\u{1b}'), coloured);
    }
}
