//! Runs the binary on a pseudo-terminal and shows its screen.

use std::num::NonZeroU16;
use std::path::Path;
use std::time::Duration;

use pty_process::{Command, Pty, Size};
use tokio::io::AsyncReadExt;
use tokio::process::Child;
use tokio::time::{Instant, timeout_at};

/// Time limit of each command.
const PATIENCE: Duration = Duration::from_secs(240);

pub struct Terminal {
    pty: Pty,
    child: Child,
    screen: vt100::Parser,
    raw: String,
}

impl Terminal {
    /// Starts the binary on a terminal of this size.
    pub fn start(
        arguments: &[&str],
        kubeconfig: &Path,
        state: &Path,
        (rows, columns): (u16, u16),
        environment: Option<(&str, &str)>,
    ) -> Terminal {
        let (pty, pts) = pty_process::open().expect("a terminal");
        pty.resize(Size::new(rows, columns)).expect("its size");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ambikiali")).args(arguments);
        for foreign in [
            "AMBIKIALI_CTX1",
            "AMBIKIALI_CTX2",
            "COLUMNS",
            "NO_COLOR",
            "CI",
        ] {
            command = command.env_remove(foreign);
        }
        command = command
            .env_remove("CLICOLOR_FORCE")
            .env("TERM", "xterm-256color");
        let command = command
            .envs(environment)
            .env("KUBECONFIG", kubeconfig)
            .env("XDG_STATE_HOME", state)
            .kill_on_drop(true);
        let [rows, columns] = [rows, columns].map(|n| NonZeroU16::new(n).expect("a size"));
        Terminal {
            child: command.spawn(pts).expect("the binary starts"),
            pty,
            screen: vt100::Parser::new(rows, columns, 0),
            raw: String::new(),
        }
    }

    /// Reads until the screen meets a condition.
    pub async fn shows(&mut self, what: &str, mut enough: impl FnMut(&Terminal) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !enough(self) {
            let more = self.more(end).await;
            assert!(more, "it never shows {what}:\n{}", self.rows().join("\n"));
        }
    }

    pub async fn interrupt(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let mut kill = tokio::process::Command::new("kill");
        let sent = kill.args(["-INT", &id]).status().await;
        assert!(sent.expect("kill").success());
    }

    /// Returns the final screen and the exit code.
    pub async fn ended(mut self) -> (Terminal, i32) {
        let end = Instant::now() + PATIENCE;
        while self.more(end).await {}
        let status = timeout_at(end, self.child.wait()).await;
        let status = status.expect("it ends").expect("an end");
        (self, status.code().unwrap_or(-1))
    }

    /// Reads more output. Returns false at its end.
    async fn more(&mut self, end: Instant) -> bool {
        let mut more = [0; 4096];
        let read = timeout_at(end, self.pty.read(&mut more)).await;
        let length = read.ok().and_then(Result::ok).unwrap_or(0);
        self.screen.process(&more[..length]);
        self.raw += &String::from_utf8_lossy(&more[..length]);
        length > 0
    }

    /// Returns the lines on the screen, without the empty ones at its end.
    pub fn rows(&self) -> Vec<String> {
        let screen = self.screen.screen();
        let rows = screen.rows(0, screen.size().1.get());
        let mut rows = rows
            .map(|row| row.trim_end().to_string())
            .collect::<Vec<_>>();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    /// Returns the complete output.
    pub fn raw(&self) -> &str {
        &self.raw
    }
}
