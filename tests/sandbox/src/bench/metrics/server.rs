//! A Prometheus at a loopback address, what it costs, and what it answers.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ambikiali_sandbox::run::{GO, Run};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::sleep;

const READY: Duration = Duration::from_secs(60);
/// The kernel's unit of CPU time, which is the same on every architecture.
const TICKS: f64 = 100.0;

pub struct Server {
    pub address: String,
    pub client: reqwest::Client,
    /// None for a server that another part runs.
    child: Option<Child>,
    config: PathBuf,
}

/// A response whose body was counted and not kept.
pub struct Counted {
    pub lines: u64,
    /// Lines that begin with `#`, of which each metric has one.
    pub comments: u64,
    pub bytes: u64,
    pub took: Duration,
}

impl Counted {
    /// Only of a page that is not compressed.
    pub fn series(&self) -> u64 {
        self.lines - self.comments
    }
}

impl Server {
    pub async fn start(
        run: &Run,
        program: &std::path::Path,
        name: &str,
        config: &Value,
    ) -> Result<Server> {
        let folder = run.folder().join(name);
        fs::create_dir_all(&folder)?;
        let file = folder.join("prometheus.yml");
        // JSON is valid YAML.
        fs::write(&file, config.to_string())?;
        let address = free().await?;
        let log = fs::File::create(folder.join("log"))?;
        let mut command = Command::from(run.command(program));
        for (variable, _) in GO {
            command.env_remove(variable);
        }
        // What Prometheus sets itself under the limit of home's container, which is 3 GiB.
        if !name.starts_with("edge") {
            command.env("GOMEMLIMIT", "2764MiB");
        }
        let child = command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .args([
                "--web.enable-lifecycle",
                "--web.enable-remote-write-receiver",
            ])
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let server = Server {
            address,
            client,
            child: Some(child),
            config: file,
        };
        let begin = Instant::now();
        while server.get("/-/ready").await.is_err() {
            ensure!(begin.elapsed() < READY, "{name} is not ready");
            sleep(Duration::from_millis(200)).await;
        }
        Ok(server)
    }

    /// One that runs already.
    pub fn at(address: &str) -> Result<Server> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Server {
            address: address.into(),
            client,
            child: None,
            config: PathBuf::new(),
        })
    }

    /// Reads another configuration.
    pub async fn reload(&self, config: &Value) -> Result<()> {
        fs::write(&self.config, config.to_string())?;
        let url = format!("http://{}/-/reload", self.address);
        let answer = self.client.post(url).send().await?;
        ensure!(answer.status().is_success(), "{}", answer.text().await?);
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<String> {
        let url = format!("http://{}{path}", self.address);
        let answer = self.client.get(url).send().await?.error_for_status()?;
        Ok(answer.text().await?)
    }

    /// The values of the series that a query finds.
    pub async fn query(&self, query: &str) -> Result<Vec<f64>> {
        let url = format!("http://{}/api/v1/query", self.address);
        let asked = self.client.get(url).query(&[("query", query)]);
        let answer = asked.send().await?.text().await?;
        let answer: Value = serde_json::from_str(&answer)?;
        let series = answer["data"]["result"].as_array().context("no result")?;
        let mut values = Vec::new();
        for one in series {
            let many = one["values"].as_array().cloned();
            for sample in many.unwrap_or_else(|| vec![one["value"].clone()]) {
                let value = sample[1].as_str().context("a sample without a value")?;
                values.push(value.parse()?);
            }
        }
        Ok(values)
    }

    /// The sum of a metric of the server itself.
    pub async fn own(&self, name: &str) -> Result<f64> {
        let page = self.get("/metrics").await?;
        let of = |line: &&str| line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']);
        let values = page
            .lines()
            .filter(of)
            .filter_map(|line| line.rsplit(' ').next());
        values.map(|value| Ok(value.parse::<f64>()?)).sum()
    }

    /// Gets a page of `/federate`, as it is or compressed.
    pub async fn federate(&self, selectors: &[Value], compressed: bool) -> Result<Counted> {
        let begin = Instant::now();
        let mut answer = self.ask(selectors, compressed).await?;
        let (mut lines, mut comments, mut bytes) = (0, 0, 0);
        let mut last = b'\n';
        while let Some(chunk) = answer.chunk().await? {
            bytes += chunk.len() as u64;
            for byte in &chunk {
                lines += u64::from(*byte == b'\n');
                comments += u64::from(last == b'\n' && *byte == b'#');
                last = *byte;
            }
        }
        Ok(Counted {
            lines,
            comments,
            bytes,
            took: begin.elapsed(),
        })
    }

    /// A page of `/federate`.
    #[cfg(test)]
    pub async fn page(&self, selectors: &[Value]) -> Result<String> {
        Ok(self.ask(selectors, false).await?.text().await?)
    }

    async fn ask(&self, selectors: &[Value], compressed: bool) -> Result<reqwest::Response> {
        let matches = selectors.iter().filter_map(Value::as_str);
        let matches = matches
            .map(|selector| ("match[]", selector))
            .collect::<Vec<_>>();
        let url = format!("http://{}/federate", self.address);
        let encoding = if compressed { "gzip" } else { "identity" };
        let asked = self
            .client
            .get(url)
            .query(&matches)
            .header("accept-encoding", encoding);
        Ok(asked.send().await?.error_for_status()?)
    }

    fn proc(&self, file: &str) -> Result<String> {
        let Some(pid) = self.child.as_ref().and_then(Child::id) else {
            bail!("{} has ended", self.address);
        };
        Ok(fs::read_to_string(format!("/proc/{pid}/{file}"))?)
    }

    /// The seconds of CPU time since its start.
    pub fn cpu(&self) -> Result<f64> {
        let stat = self.proc("stat")?;
        let (_, fields) = stat.rsplit_once(") ").context("no name")?;
        let ticks = |field: usize| -> Result<f64> {
            Ok(fields.split(' ').nth(field).context("no field")?.parse()?)
        };
        Ok((ticks(11)? + ticks(12)?) / TICKS)
    }

    /// The most memory that it has used so far, in MiB.
    pub fn most_memory(&self) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().split(' ').next());
        Ok(kib.context("no VmHWM")?.parse::<f64>()? / 1024.0)
    }

    pub async fn stop(mut self) -> Result<()> {
        match &mut self.child {
            Some(child) => Ok(child.kill().await?),
            None => Ok(()),
        }
    }
}

/// An address at which nobody listens now.
async fn free() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Ok(listener.local_addr()?.to_string())
}
