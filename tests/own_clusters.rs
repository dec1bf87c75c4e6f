//! An install from start to cleanup on two clusters of the user, with their kubeconfig: real nodes, load balancers,
//! Prometheus and Kiali. CONTRIBUTING.md says how to run it.

use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

/// Images are pulled, and a load balancer may take minutes.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Runs the binary as the user would, with the user's own environment.
async fn run(arguments: &[&str], code: i32) -> String {
    println!("ambikiali {}", arguments.join(" "));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ambikiali"));
    let output = command.args(arguments).kill_on_drop(true).output();
    let output = timeout(PATIENCE, output).await.expect("it ends");
    let output = output.expect("the binary starts");
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    println!("{stderr}{stdout}");
    assert_eq!(output.status.code(), Some(code), "ambikiali {arguments:?}");
    stdout
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).expect("a document")
}

#[tokio::test]
#[ignore = "needs two clusters of your own: AMBIKIALI_TEST_CTX1 and AMBIKIALI_TEST_CTX2"]
async fn an_install_on_clusters_of_the_user_is_verified_and_removed_without_a_trace() {
    let context = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("set {name}"));
    let (ctx1, ctx2) = (
        context("AMBIKIALI_TEST_CTX1"),
        context("AMBIKIALI_TEST_CTX2"),
    );
    let more = std::env::var("AMBIKIALI_TEST_ARGS").unwrap_or_default();
    let more = more.split_whitespace().collect::<Vec<_>>();
    let clusters = ["--ctx1", &ctx1, "--ctx2", &ctx2];
    let with = |command, rest: &[_]| [&[command][..], &clusters, rest].concat();
    let installing = |command, rest: &[_]| [&with(command, rest)[..], &more].concat();

    // An existing install belongs to the user and is not touched.
    let there = run(&with("cleanup", &["--dry-run", "-o", "json"]), 0).await;
    assert_eq!(
        document(&there)["removed"],
        Value::Array(Vec::new()),
        "an install is there"
    );

    run(&installing("check", &[]), 0).await;
    run(&installing("install", &["--timeout", "15m"]), 0).await;
    let again = run(&installing("install", &["-o", "json"]), 0).await;
    let again = document(&again);
    let writes = |change: &&Value| !matches!(change["action"].as_str(), Some("keep" | "reuse"));
    let written = again["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter(writes);
    assert_eq!(
        written.collect::<Vec<_>>(),
        Vec::<&Value>::new(),
        "a second install writes"
    );
    run(&with("verify", &[]), 0).await;
    run(&with("status", &[]), 0).await;
    run(&with("cleanup", &["--timeout", "15m"]), 0).await;
    let left = run(&with("cleanup", &["--dry-run", "-o", "json"]), 0).await;
    let left = document(&left);
    for found in ["removed", "left", "errors"] {
        assert_eq!(
            left[found],
            Value::Array(Vec::new()),
            "{found} after the cleanup"
        );
    }
}
