//! A store for metrics as a process on a loopback address: a real single-node VictoriaMetrics, which keeps its data while
//! it is killed and started again.
//!
//! What it cannot show: a store of several processes, and what another engine does. It shows a new sample to queries
//! after one second and not after 30, as an operator may set it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Certificate, Client};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::Sandbox;
use crate::cluster::{PLAIN_STORE, STORE};
use crate::oidc::certify;

/// How a store is started.
#[derive(Clone, Copy, Default)]
pub struct Start<'a> {
    /// Username and password, if it asks for them.
    pub auth: Option<(&'a str, &'a str)>,
    /// Whether it serves https with a certificate of a CA of its own, and plain HTTP at another port.
    pub https: bool,
    pub flags: &'a [&'a str],
}

/// A store, which ends when dropped.
pub struct VictoriaMetrics {
    address: String,
    plain: String,
    /// The file with its CA, if it serves https.
    ca: Option<PathBuf>,
    program: std::process::Command,
    log: PathBuf,
    /// Username and password, if it asks for them.
    auth: Option<(String, String)>,
    client: Client,
    process: Option<Child>,
}

impl VictoriaMetrics {
    pub async fn start(sandbox: &Sandbox, auth: Option<(&str, &str)>) -> Result<VictoriaMetrics> {
        let start = Start {
            auth,
            ..Start::default()
        };
        VictoriaMetrics::start_with(sandbox, start).await
    }

    pub async fn start_with(sandbox: &Sandbox, start: Start<'_>) -> Result<VictoriaMetrics> {
        let home = &sandbox.clusters()[0];
        let at = |port| format!("127.0.0.1:{}", home.addresses().port(port));
        let (address, plain) = (at(STORE), at(PLAIN_STORE));
        let folder = sandbox.folder().join("victoria-metrics");
        // Another test may have had one.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let mut program = home.command(&sandbox.tools().victoria_metrics);
        program.args([
            format!("-storageDataPath={}", folder.join("data").display()),
            "-search.latencyOffset=1s".into(),
            "-memory.allowedBytes=128MiB".into(),
        ]);
        program.args(start.flags);
        let mut client = Client::builder().no_proxy();
        let ca = folder.join("ca.pem");
        if start.https {
            let [certificate, key] = ["cert.pem", "key.pem"].map(|name| folder.join(name));
            let (pem, der) = certify(&certificate, &key)?;
            fs::write(&ca, pem)?;
            client = client.tls_certs_only([Certificate::from_der(&der)?]);
            program.args([
                format!("-httpListenAddr={address},{plain}"),
                "-tls=true,false".into(),
                format!("-tlsCertFile={}", certificate.display()),
                format!("-tlsKeyFile={}", key.display()),
            ]);
        } else {
            program.arg(format!("-httpListenAddr={address}"));
        }
        if let Some((username, password)) = start.auth {
            let file = folder.join("password");
            fs::write(&file, password)?;
            program.arg(format!("-httpAuth.username={username}"));
            program.arg(format!("-httpAuth.password=file://{}", file.display()));
        }
        let auth = start
            .auth
            .map(|(username, password)| (username.into(), password.into()));
        let mut store = VictoriaMetrics {
            address,
            plain,
            ca: start.https.then_some(ca),
            program,
            log: folder.join("log"),
            auth,
            client: client.build()?,
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
        let deadline = Instant::now() + Duration::from_secs(60);
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
        match self.ca {
            Some(_) => format!("https://{}", self.address),
            None => format!("http://{}", self.address),
        }
    }

    /// The URL without TLS of a store with https.
    pub fn plain_url(&self) -> String {
        format!("http://{}", self.plain)
    }

    /// The file with the CA of a store with https.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// Writes samples in the text format of Prometheus, with the labels and the time of now, as another writer would.
    pub async fn import(&self, samples: &str) -> Result<()> {
        let url = format!("{}/api/v1/import/prometheus", self.url());
        let mut asked = self.client.post(url).body(samples.to_string());
        if let Some((username, password)) = &self.auth {
            asked = asked.basic_auth(username, Some(password));
        }
        asked.send().await?.error_for_status()?;
        Ok(())
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
