//! The built binary as a user runs it, and how it ended.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::masked;

/// Longer than any command here may take.
const PATIENCE: Duration = Duration::from_secs(240);

/// What a run said and its exit code.
#[derive(Debug)]
pub struct Ended {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Ended {
    /// What follows `error: `, with what differs from run to run masked.
    #[track_caller]
    pub fn error(&self) -> String {
        let error = self.stderr.split_once("error: ");
        masked(
            error
                .unwrap_or_else(|| panic!("no error in {}", self.stderr))
                .1,
        )
    }

    #[track_caller]
    pub fn succeeded(self) -> Ended {
        self.exited(0)
    }

    #[track_caller]
    pub fn exited(self, code: i32) -> Ended {
        assert_eq!(
            self.code, code,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }
}

/// Runs to the end, with no terminal and nothing of this user's own settings.
pub async fn ambikiali(arguments: &[&str], kubeconfig: &Path, state: &Path) -> Ended {
    let child = command(arguments, kubeconfig, state).spawn();
    output(child.expect("the binary starts")).await
}

/// The end of one that was started.
pub async fn output(child: Child) -> Ended {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.expect("the binary ends").expect("its output");
    Ended {
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
        code: output.status.code().unwrap_or(-1),
    }
}

/// The command itself, for tests that signal it.
pub fn command(arguments: &[&str], kubeconfig: &Path, state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ambikiali"));
    command
        .args(arguments)
        .env_remove("AMBIKIALI_CTX1")
        .env_remove("AMBIKIALI_CTX2")
        .env_remove("COLUMNS")
        .env_remove("CLICOLOR_FORCE")
        .env("KUBECONFIG", kubeconfig)
        .env("XDG_STATE_HOME", state)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}
