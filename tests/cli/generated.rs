//! Completion for shells and man pages.

use tokio::process::Command;

use super::{KUBECONFIG, run};

/// Returns the completions after these words, the last of which is incomplete.
async fn offered(words: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    std::fs::write(&kubeconfig, KUBECONFIG).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ambikiali"));
    command.arg("--").arg("ambikiali").args(words);
    command
        .env("KUBECONFIG", &kubeconfig)
        .env("COMPLETE", "bash");
    command.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
    command.env("_CLAP_IFS", "\n");
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(String::from).collect()
}

#[tokio::test]
async fn contexts_of_the_kubeconfig_are_completed() {
    for words in [
        &["install", "--ctx1", ""][..],
        &["install", "--ctx1", "east", "--ctx2", ""],
        &["verify", "--ctx1", ""],
        &["cleanup", "--ctx3", ""],
    ] {
        assert_eq!(offered(words).await, ["east", "west"], "{words:?}");
    }
    assert_eq!(offered(&["install", "--ctx1", "we"]).await, ["west"]);
    assert_eq!(offered(&["clea"]).await, ["cleanup"]);
}

#[tokio::test]
async fn there_is_a_script_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(&["completions", shell]).await.succeeded().stdout;
        assert!(
            script.contains("ambikiali") && script.contains("COMPLETE"),
            "{script}"
        );
    }
}

#[tokio::test]
async fn there_is_a_man_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    run(&["man", folder.path().to_str().unwrap()])
        .await
        .succeeded();
    for (command, _) in super::HELP {
        let dash = if command.is_empty() { "" } else { "-" };
        let page = folder.path().join(format!("ambikiali{dash}{command}.1"));
        let page = std::fs::read_to_string(page).expect("a page");
        assert!(page.contains(".SH SYNOPSIS"), "{command}: {page}");
    }
}
