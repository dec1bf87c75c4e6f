//! A store for metrics as a process on a loopback address: a real single-node VictoriaMetrics, which keeps its data while
//! it is killed and started again.
//!
//! What it cannot show: a store of several processes, TLS, and what another engine does. It shows a new sample to queries
//! after one second and not after 30, as an operator may set it.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::Sandbox;
use crate::cluster::STORE;

/// A store, which ends when dropped.
pub struct VictoriaMetrics {
    address: String,
    program: std::process::Command,
    log: PathBuf,
    /// Username and password, if it asks for them.
    auth: Option<(String, String)>,
    client: Client,
    process: Option<Child>,
}

impl VictoriaMetrics {
    pub async fn start(sandbox: &Sandbox, auth: Option<(&str, &str)>) -> Result<VictoriaMetrics> {
        let home = &sandbox.clusters()[0];
        let address = format!("127.0.0.1:{}", home.addresses().port(STORE));
        let folder = sandbox.folder().join("victoria-metrics");
        // Another test may have had one.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let mut program = home.command(&sandbox.tools().victoria_metrics);
        program.args([
            format!("-httpListenAddr={address}"),
            format!("-storageDataPath={}", folder.join("data").display()),
            "-search.latencyOffset=1s".into(),
            "-memory.allowedBytes=128MiB".into(),
        ]);
        if let Some((username, password)) = auth {
            let file = folder.join("password");
            fs::write(&file, password)?;
            program.arg(format!("-httpAuth.username={username}"));
            program.arg(format!("-httpAuth.password=file://{}", file.display()));
        }
        let auth = auth.map(|(username, password)| (username.into(), password.into()));
        let mut store = VictoriaMetrics {
            address,
            program,
            log: folder.join("log"),
            auth,
            client: Client::builder().no_proxy().build()?,
            process: None,
        };
        store.again().await?;
        Ok(store)
    }

    /// Starts it with the data that it had.
    pub async fn again(&mut self) -> Result<()> {
        let mut program = std::process::Command::new(self.program.get_program());
        program.args(self.program.get_args());
        let variables = self.program.get_envs();
        program.envs(variables.filter_map(|(name, value)| Some((name, value?))));
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)?;
        program
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.process = Some(Command::from(program).kill_on_drop(true).spawn()?);
        let deadline = Instant::now() + Duration::from_secs(20);
        // Answered without a password.
        let url = format!("{}/-/healthy", self.url());
        while self.client.get(&url).send().await.is_err() {
            ensure!(Instant::now() < deadline, "VictoriaMetrics does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Kills it, as a node that dies would.
    pub async fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("it runs")?;
        process.kill().await?;
        Ok(())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The series of an instant query, with their values.
    pub async fn query(&self, query: &str) -> Result<Vec<(Value, String)>> {
        let url = format!("{}/api/v1/query", self.url());
        let mut asked = self.client.get(url).query(&[("query", query)]);
        if let Some((username, password)) = &self.auth {
            asked = asked.basic_auth(username, Some(password));
        }
        let text = asked.send().await?.error_for_status()?.text().await?;
        let mut answer: Value = serde_json::from_str(&text)?;
        let found = answer["data"]["result"].take();
        let found = found.as_array().context("a result")?;
        let series = found.iter().map(|one| {
            let value = one["value"][1].as_str().unwrap_or_default();
            (one["metric"].clone(), value.to_string())
        });
        Ok(series.collect())
    }
}
