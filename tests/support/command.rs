//! Runs the built binary as a user would, and returns its result.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

use super::masked;

/// Time limit of each command.
const PATIENCE: Duration = Duration::from_secs(240);

/// How a key begins, how it begins as the value of a Secret, and how the token of an account begins.
const SECRETS: [&str; 3] = [
    "-----BEGIN PRIVATE KEY",
    "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS",
    "eyJhbGciOi",
];

/// The output and exit code of a run.
#[derive(Debug)]
pub struct Ended {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Ended {
    /// Returns the error without its prefix, with varying parts masked and the code first, as in `[AK1006] contexts a
    /// and b ...`.
    #[track_caller]
    pub fn error(&self) -> String {
        let plain = self
            .stderr
            .split_once("error: ")
            .map(|(_, text)| text.into());
        let coded = || {
            let (code, text) = self.stderr.split_once("error[")?.1.split_once("]: ")?;
            Some(format!("[{code}] {text}"))
        };
        let text: Option<String> = plain.or_else(coded);
        masked(&text.unwrap_or_else(|| panic!("no error in {}", self.stderr)))
    }

    /// Checks that no key and no token was printed, as such or as the value of a Secret.
    fn keeps_secrets(&self) {
        for secret in SECRETS {
            let is_printed = self.stdout.contains(secret) || self.stderr.contains(secret);
            assert!(
                !is_printed,
                "it prints a key or a token, which begins with {secret}"
            );
        }
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

/// Runs a command to its end, without a terminal and without this user's settings.
pub async fn ambikiali(arguments: &[&str], kubeconfig: &Path, state: &Path) -> Ended {
    let child = command(arguments, kubeconfig, state).spawn();
    output(child.expect("the binary starts")).await
}

/// Waits for a started command and returns its result.
pub async fn output(mut child: Child) -> Ended {
    let stdout = tokio::spawn(text(child.stdout.take()));
    let stderr = tokio::spawn(text(child.stderr.take()));
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    // Kill a command that does not end, to see its output.
    child.start_kill().expect("a signal");
    let ended_by_itself = ended.is_ok();
    let status = child.wait().await.expect("its end");
    let ended = Ended {
        stdout: stdout.await.expect("text"),
        stderr: stderr.await.expect("text"),
        code: status.code().unwrap_or(-1),
    };
    assert!(ended_by_itself, "it does not end: {ended:#?}");
    ended.keeps_secrets();
    ended
}

/// Reads stderr until a condition holds. `output` reads the rest.
pub async fn says(child: &mut Child, mut enough: impl FnMut(&str) -> bool) {
    let stderr = child.stderr.as_mut().expect("a pipe");
    let mut said = String::new();
    let end = Instant::now() + PATIENCE;
    while !enough(&said) {
        let mut more = [0; 4096];
        let read = timeout_at(end, stderr.read(&mut more)).await;
        let length = read.map_or(0, |length| length.expect("text"));
        assert!(length > 0, "it does not say it: {said}");
        said.push_str(&String::from_utf8_lossy(&more[..length]));
    }
}

/// Reads the rest of a stream.
pub async fn text(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut text = String::new();
    let mut stream = stream.expect("a pipe");
    stream.read_to_string(&mut text).await.expect("text");
    text
}

/// Returns the command, for tests that send it signals.
pub fn command(arguments: &[&str], kubeconfig: &Path, state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ambikiali"));
    command
        .args(arguments)
        .env_remove("AMBIKIALI_CTX1")
        .env_remove("AMBIKIALI_CTX2")
        .env_remove("COLUMNS")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("NO_COLOR")
        .env("KUBECONFIG", kubeconfig)
        .env("XDG_STATE_HOME", state)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}
