//! Makes an API server hang, crash and come back, for tests of how the tool handles it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::config::{API_SERVER, AUTHENTICATION};
use super::{Cluster, kwokctl};

/// An issuer of OpenID Connect tokens, and for which client they must be.
pub struct Issuer<'a> {
    pub url: &'a str,
    pub ca: &'a str,
    pub client: &'a str,
}

impl Cluster {
    /// Freezes the API server: it still accepts connections but never answers.
    pub fn pause_api_server(&self) -> Result<()> {
        Ok(kill_process(self.api_server()?, Signal::STOP)?)
    }

    pub fn resume_api_server(&self) -> Result<()> {
        Ok(kill_process(self.api_server()?, Signal::CONT)?)
    }

    /// Kills the API server. New connections are refused.
    pub fn kill_api_server(&self) -> Result<()> {
        let pid = self.api_server()?;
        let command_line = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
        fs::copy(command_line, self.command_line()).context("the API server does not run")?;
        kill_process(pid, Signal::KILL)?;
        // Its port becomes free a moment later. A new server could not start before.
        let deadline = Instant::now() + Duration::from_secs(60);
        let address = (Ipv4Addr::LOCALHOST, self.addresses().port(API_SERVER));
        while TcpListener::bind(address).is_err() {
            ensure!(Instant::now() < deadline, "the API server does not die");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Starts the killed API server again with the same command line, and waits until it is ready.
    pub async fn restart_api_server(&self) -> Result<()> {
        let words = fs::read_to_string(self.command_line()).context("it was not killed before")?;
        let mut words = words.split_terminator('\0');
        let program = words.next().context("an empty command line")?;
        let log = self.state().join("logs/kube-apiserver.log");
        let log = fs::File::options().append(true).open(log)?;
        let mut command: Command = self.command(program.as_ref());
        command
            .args(words)
            .current_dir(self.state())
            .stdin(Stdio::null());
        command
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let mut child = tokio::process::Command::from(command).spawn()?;
        let pid = child.id().context("it ended at once")?;
        fs::write(self.pid_file(), pid.to_string())?;
        let ready = async {
            while !self.is_ready().await {
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = ready => Ok(()),
            ended = child.wait() => bail!("the API server of {} ended: {ended:?}", self.name()),
            () = sleep(Duration::from_secs(180)) => bail!("{} does not come back", self.name()),
        }
    }

    /// Makes the API server accept the tokens of an issuer for a client, within seconds; None ends that.
    pub fn trust(&self, issuer: Option<&Issuer<'_>>) -> Result<()> {
        let mut trusted: Value = serde_yaml::from_str(AUTHENTICATION)?;
        if let Some(Issuer { url, ca, client }) = issuer {
            trusted["jwt"] = json!([{
                "issuer": {"url": url, "certificateAuthority": ca, "audiences": [client]},
                "claimMappings": {"username": {"claim": "sub", "prefix": "oidc:"}},
            }]);
        }
        let path = self.dir().join(kwokctl::AUTHENTICATION);
        fs::write(path, trusted.to_string()).context("cannot change the authentication")
    }

    async fn is_ready(&self) -> bool {
        let request = axum::http::Request::get("/readyz").body(Vec::new());
        let Ok(request) = request else {
            return false;
        };
        let answer = timeout(Duration::from_secs(5), self.client().request_text(request)).await;
        matches!(answer, Ok(Ok(_)))
    }

    fn api_server(&self) -> Result<Pid> {
        let pid = fs::read_to_string(self.pid_file())?.trim().parse()?;
        Pid::from_raw(pid).context("no process has the number 0")
    }

    fn pid_file(&self) -> PathBuf {
        self.state().join("pids/kube-apiserver.pid")
    }

    fn command_line(&self) -> PathBuf {
        self.dir().join("kube-apiserver.cmdline")
    }
}
