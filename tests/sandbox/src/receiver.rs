//! A real Prometheus on a loopback address that other ones write to, as a store of another engine than VictoriaMetrics. It
//! refuses what VictoriaMetrics takes: samples that are older than what it has by a block, which is two minutes here and
//! two hours by default.
//!
//! What it cannot show: a store of several processes, tenants, and credentials.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use reqwest::Client;
use tokio::process::{Child, Command};

use crate::Sandbox;
use crate::cluster::STORE;

/// A receiver, which ends when dropped.
pub struct Receiver {
    address: String,
    _process: Child,
}

impl Receiver {
    /// Starts it without data. It scrapes a page too, which may give its samples any time.
    pub async fn start(sandbox: &Sandbox, page: SocketAddr) -> Result<Receiver> {
        let home = &sandbox.clusters()[0];
        let address = format!("127.0.0.1:{}", home.addresses().port(STORE));
        let folder = sandbox.folder().join("receiver");
        // Another one may have been there.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let config = folder.join("prometheus.yml");
        fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: page, static_configs: [{{targets: ['{page}']}}]}}]\n"
            ),
        )?;
        let mut program = home.command(&sandbox.tools().prometheus);
        program.args([
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
            "--web.enable-remote-write-receiver".into(),
            "--storage.tsdb.min-block-duration=2m".into(),
        ]);
        program
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("log"))?);
        let receiver = Receiver {
            address,
            _process: Command::from(program).kill_on_drop(true).spawn()?,
        };
        let client = Client::builder().no_proxy().build()?;
        let deadline = Instant::now() + Duration::from_secs(60);
        let url = format!("{}/-/ready", receiver.url());
        while !client
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            ensure!(Instant::now() < deadline, "Prometheus does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(receiver)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
