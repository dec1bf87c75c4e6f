//! Help, and errors before any cluster is contacted.

mod file;
mod generated;
mod images;
mod render;
mod version;

use std::path::Path;

use crate::support::{Ended, ambikiali};

/// Set this to rewrite the expected help after an intended change, then review the difference.
const REWRITE: &str = "AMBIKIALI_REWRITE_HELP";

const HELP: [(&str, &str); 18] = [
    ("", include_str!("help/ambikiali.txt")),
    ("install", include_str!("help/install.txt")),
    ("verify", include_str!("help/verify.txt")),
    ("doctor", include_str!("help/doctor.txt")),
    ("rotate", include_str!("help/rotate.txt")),
    ("status", include_str!("help/status.txt")),
    ("estimate", include_str!("help/estimate.txt")),
    ("bundle", include_str!("help/bundle.txt")),
    ("dashboard", include_str!("help/dashboard.txt")),
    ("cleanup", include_str!("help/cleanup.txt")),
    ("check", include_str!("help/check.txt")),
    ("explain", include_str!("help/explain.txt")),
    ("version", include_str!("help/version.txt")),
    ("images", include_str!("help/images.txt")),
    ("completions", include_str!("help/completions.txt")),
    ("man", include_str!("help/man.txt")),
    ("plan", include_str!("help/plan.txt")),
    ("render", include_str!("help/render.txt")),
];

pub const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
clusters:
  - name: all
    cluster: {server: https://127.0.0.1:1}
contexts:
  - name: east
    context: {cluster: all}
  - name: west
    context: {cluster: all}
";

/// Runs with a kubeconfig of two unreachable contexts and no remembered install.
pub async fn run(arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    std::fs::write(&kubeconfig, KUBECONFIG).unwrap();
    let mut ended = ambikiali(arguments, &kubeconfig, folder.path()).await;
    let path = folder.path().display().to_string();
    for text in [&mut ended.stdout, &mut ended.stderr] {
        *text = text.replace(&path, "FOLDER");
    }
    ended
}

#[tokio::test]
async fn the_help_of_each_command_is_as_written_down() {
    for (command, text) in HELP {
        let arguments = [command, "--help"].into_iter().filter(|a| !a.is_empty());
        let ended = run(&arguments.collect::<Vec<_>>()).await.succeeded();
        if std::env::var_os(REWRITE).is_some() {
            let name = if command.is_empty() {
                "ambikiali"
            } else {
                command
            };
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
            std::fs::write(folder.join(format!("{name}.txt")), ended.stdout).unwrap();
        } else {
            assert_eq!(ended.stdout, text, "{REWRITE}=1 writes it down");
        }
    }
}

#[tokio::test]
async fn uninstall_is_cleanup() {
    let help = run(&["uninstall", "--help"]).await.succeeded();
    assert_eq!(help.stdout, run(&["cleanup", "--help"]).await.stdout);
}

#[tokio::test]
async fn wrong_usage_exits_2_and_says_what_is_wrong() {
    for (arguments, said) in [
        (&["instal"][..], "error: unrecognized subcommand 'instal'"),
        (
            &["install", "--ctx1", "east"],
            "error: the following required arguments were not provided:",
        ),
        (
            &["cleanup", "--ctx1", "east"],
            "error: the following required arguments were not provided:",
        ),
        (
            &["status", "east"],
            "error: unexpected argument 'east' found",
        ),
        (
            &["verify", "--probes", "some"],
            "error: invalid value 'some' for '--probes <PROBES>'",
        ),
        (
            &["dashboard", "--port", "65536"],
            "error: invalid value '65536' for '--port <PORT>': 65536 is not in 0..=65535",
        ),
        (
            &["check", "--ctx1", "east", "--ctx2", "west", "--name3", "ap"],
            "error: --name3 needs --ctx3",
        ),
        (
            &["check", "-f", "clusters.yaml", "--name3", "ap"],
            "error: --name3 cannot be used with --file",
        ),
        (
            &["check", "-f", "clusters.yaml", "--ctx2", "west"],
            "error: --ctx2 cannot be used with --file",
        ),
        (
            &["status", "--ctx2", "west"],
            "error: --ctx2 needs --ctx1; omit both to use the clusters of the last install",
        ),
    ] {
        let ended = run(arguments).await.exited(2);
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert_eq!(ended.stderr.lines().next(), Some(said), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_timeout_has_a_unit_and_an_end() {
    for (timeout, cause) in [
        ("10", "\"10\" is not a duration such as 90s, 10m or 1h"),
        ("1.5m", "\"1.5m\" is not a duration such as 90s, 10m or 1h"),
        ("soon", "\"soon\" is not a duration such as 90s, 10m or 1h"),
        ("0s", "\"0s\" is not between 1s and 24h"),
        ("25h", "\"25h\" is not between 1s and 24h"),
    ] {
        let ended = run(&["status", "--timeout", timeout]).await.exited(2);
        assert_eq!(
            ended.stderr,
            format!(
                "error: invalid value '{timeout}' for '--timeout <TIME>': {cause}\n\nFor more information, try '--help'.\n"
            )
        );
    }
}

#[tokio::test]
async fn an_unknown_context_is_answered_with_those_that_are_there() {
    let ended = run(&["install", "--ctx1", "east", "--ctx2", "wets"]).await;
    let ended = ended.exited(3);
    assert_eq!(
        ended.stderr,
        "\
error: no context \"wets\" in the kubeconfig; it has: east, west
  fix: kubectl config get-contexts
"
    );
}

#[tokio::test]
async fn without_contexts_and_an_install_to_remember_the_contexts_are_asked_for() {
    for command in [
        "verify",
        "status",
        "estimate",
        "bundle",
        "dashboard",
        "rotate",
        "cleanup",
    ] {
        let ended = run(&[command]).await.exited(3);
        assert_eq!(
            ended.stderr,
            "\
error: no contexts given, and no install is remembered in FOLDER/ambikiali/last.json
  fix: give the clusters: --ctx1 HOME --ctx2 REMOTE
",
            "{command}"
        );
    }
}

#[tokio::test]
async fn a_kubeconfig_that_is_not_there_or_not_one_is_named() {
    for (file, cause) in [
        (
            "/nowhere/config",
            "No such file or directory\n  fix: name an existing file",
        ),
        (
            "/proc/self/limits",
            "not a mapping\n  fix: kubectl --kubeconfig /proc/self/limits config view",
        ),
    ] {
        let arguments = ["install", "--ctx1", "east", "--ctx2", "west"];
        let ended = run(&[&arguments[..], &["--kubeconfig", file]].concat()).await;
        assert_eq!(
            ended.exited(3).stderr,
            format!("error[AK1012]: kubeconfig {file}: {cause}\n")
        );
    }
}

#[tokio::test]
async fn a_home_that_does_not_answer_is_named_with_its_address() {
    let ended = run(&["status", "--ctx1", "east", "--ctx2", "west"]).await;
    assert_eq!(
        ended.exited(8).stderr,
        "\
error[AK1001]: context east at https://127.0.0.1:1: Connection refused
  fix: kubectl --context east version
"
    );
}
