//! `sandbox bench metrics`: what each metric profile costs. A real Prometheus scrapes a generated mesh with the
//! configuration that `ambikiali render` writes for a cluster, and another one pulls from it with the configuration for
//! home, one profile after the other. Then the same by remote write, and at last one of four ztunnels restarts.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use ambikiali_sandbox::run::{Run, build, target};
use ambikiali_sandbox::tools::Tools;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::product::CLUSTERS;
use crate::signals::Signals;
use mesh::{Mesh, Served};
use server::Server;
use table::{Graph, Pulled, Row, Written, Wrong};

mod estimated;
mod mesh;
mod server;
mod table;

/// The guide's first, because all others are compared with it.
const PROFILES: [&str; 3] = ["guide", "core", "lean"];
/// The cluster whose Prometheus is scraped.
const EDGE: &str = "edge";
/// More series than this are only counted. A home that pulls them takes more memory than a machine may have.
const MOST: u64 = 400_000;

#[derive(clap::Args)]
pub struct Asked {
    /// Numbers of workloads in the cluster
    #[arg(long, value_delimiter = ',', default_values_t = [20, 40, 120, 400])]
    workloads: Vec<usize>,
    /// Pulls of each profile
    #[arg(long, default_value_t = 10)]
    pulls: usize,
    /// Time between two pulls
    #[arg(long, value_name = "TIME", default_value = "15s")]
    interval: String,
    /// Compare ambikiali estimate with what is measured, in place of the costs
    #[arg(long)]
    estimate: bool,
}

struct Bench {
    run: Run,
    prometheus: PathBuf,
    ambikiali: PathBuf,
    interval: String,
    pulls: usize,
}

#[tokio::main]
pub async fn run(asked: Asked) -> Result<ExitCode> {
    // No request uses TLS, but the client wants a provider. An error means that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut signals = Signals::new()?;
    let tools = Tools::ensure(&target()?, |line| eprintln!("{line}"))?;
    let mut bench = Bench {
        run: Run::start()?,
        prometheus: tools.prometheus,
        ambikiali: build("ambikiali")?,
        interval: asked.interval,
        pulls: asked.pulls,
    };
    if asked.estimate {
        let names = CLUSTERS.map(String::from);
        let sandbox = signals.start(&names, false).await?;
        let compared = estimated::all(&bench, &sandbox, &asked.workloads);
        let compared = signals.or(compared).await;
        sandbox.stop().await?;
        bench.run.end()?;
        print!("{}\n{}", table::machine(), table::compared(&compared?));
        return Ok(ExitCode::SUCCESS);
    }
    let measured = signals.or(bench.all(&asked.workloads)).await;
    bench.run.end()?;
    measured.map(|()| ExitCode::SUCCESS)
}

impl Bench {
    async fn all(&mut self, sizes: &[usize]) -> Result<()> {
        println!("{}", table::machine());
        for workloads in sizes {
            self.size(*workloads).await?;
        }
        // Only the number of intervals matters, so take short ones.
        self.interval = "5s".into();
        let wrong = self.restarted().await?;
        print!("{}", table::restart(&wrong));
        Ok(())
    }

    async fn size(&self, workloads: usize) -> Result<()> {
        let served = Mesh::of(workloads).serve().await?;
        let (_, config) = self.configs("core", "127.0.0.1:9090")?;
        let config = scraping(config, &served);
        let edge = self.server(&format!("edge-{workloads}"), &config).await?;
        let (pods, edges) = (served.pods(), served.mesh.edges);
        println!(
            "\n{workloads} workloads, {edges} edges, {pods} pods; load {}",
            table::load()
        );
        self.scraped(&edge, pods).await?;
        let idle = self.idle(&edge).await?;
        let mut rows: Vec<Row> = Vec::new();
        for profile in PROFILES {
            let pulled = self.pulled(&edge, profile, idle).await?;
            let row = Row {
                profile,
                pulled,
                written: None,
            };
            eprintln!("{}", row.line(rows.first().unwrap_or(&row)));
            rows.push(row);
        }
        for row in rows.iter_mut().filter(|row| row.pulled.lines <= MOST) {
            row.written = Some(self.written(&edge, &config, row.profile, idle).await?);
        }
        print!("{}", table::size(&rows));
        edge.stop().await
    }

    async fn server(&self, name: &str, config: &Value) -> Result<Server> {
        Server::start(&self.run, &self.prometheus, name, config).await
    }

    fn every(&self) -> Result<Duration> {
        let seconds = self.interval.trim_end_matches('s').parse();
        Ok(Duration::from_secs(
            seconds.context("give --interval in seconds, such as 15s")?,
        ))
    }

    /// The configurations of home, which scrapes the edge at an address, and of the edge.
    fn configs(&self, profile: &str, address: &str) -> Result<(Value, Value)> {
        let folder = self.run.folder().join("rendered");
        let target = |name: &str| format!("{name}={address}");
        let status = Command::new(&self.ambikiali)
            .args([
                "render",
                "--home",
                "home",
                "--remote",
                EDGE,
                "--force",
                "--exposure",
                "http",
            ])
            .args(["--target", &target("home"), "--target", &target(EDGE)])
            .args(["--metrics", profile, "--scrape-interval", &self.interval])
            .arg("--out")
            .arg(&folder)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()?;
        ensure!(status.success(), "ambikiali render: {status}");
        let mut home = configuration(&folder.join("home"), "prometheus-config")?;
        let edge = configuration(&folder.join(EDGE), "prometheus")?;
        let jobs = home["scrape_configs"].as_array_mut().context("jobs")?;
        jobs.retain(|job| job["job_name"] == format!("federate-{EDGE}"));
        Ok((home, edge))
    }

    /// Waits until each pod was scraped twice.
    async fn scraped(&self, edge: &Server, pods: usize) -> Result<()> {
        let begin = Instant::now();
        loop {
            let seen = edge.query("count(count_over_time(up[10m]) > 1)").await?;
            if seen.first().is_some_and(|seen| *seen >= pods as f64) {
                return Ok(());
            }
            ensure!(
                begin.elapsed() < self.every()? * 20,
                "not every pod is scraped"
            );
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// The CPU time of the edge for each second without any pull.
    async fn idle(&self, edge: &Server) -> Result<f64> {
        let (begin, before) = (Instant::now(), edge.cpu()?);
        sleep(self.every()? * 2).await;
        Ok((edge.cpu()? - before) / begin.elapsed().as_secs_f64())
    }

    async fn pulled(&self, edge: &Server, profile: &str, idle: f64) -> Result<Pulled> {
        let (mut config, _) = self.configs(profile, &edge.address)?;
        let job = &mut config["scrape_configs"][0];
        let limit = job["sample_limit"].as_f64().unwrap_or_default();
        let selectors = job["params"]["match[]"].as_array().cloned();
        let selectors = selectors.context("selectors")?;
        // Measured beyond the limits too, which the table shows.
        job["sample_limit"] = json!(0);
        job["body_size_limit"] = json!(0);
        let plain = edge.federate(&selectors, false).await?;
        let compressed = edge.federate(&selectors, true).await?;
        if plain.lines > MOST {
            return Ok(Pulled::counted(&plain, &compressed));
        }
        let (begin, before) = (Instant::now(), edge.cpu()?);
        let home = self
            .server(&format!("home-{profile}-{}", plain.lines), &config)
            .await?;
        let job = format!("job=\"federate-{EDGE}\"");
        let every = self.every()?;
        let times = format!("scrape_duration_seconds{{{job}}}[1h]");
        let times = loop {
            sleep(every).await;
            let times = home.query(&times).await?;
            if times.len() >= self.pulls {
                break times;
            }
            ensure!(
                begin.elapsed() < every * 4 * (self.pulls as u32 + 2),
                "home does not pull"
            );
        };
        let ups = home.query(&format!("up{{{job}}}[1h]")).await?;
        let extra = (edge.cpu()? - before) - idle * begin.elapsed().as_secs_f64();
        let pulled = Pulled {
            lines: plain.lines,
            bytes: plain.bytes,
            gzip: compressed.bytes,
            alone: plain.took,
            cpu: extra / times.len() as f64,
            memory: home.most_memory()?,
            failed: ups.iter().filter(|up| **up == 0.0).count(),
            beyond_limit: plain.lines as f64 > limit,
            graph: self.graph(&home).await?,
            times,
        };
        home.stop().await?;
        Ok(pulled)
    }

    /// The same series by remote write, chosen by name on the edge.
    async fn written(
        &self,
        edge: &Server,
        config: &Value,
        profile: &str,
        idle: f64,
    ) -> Result<Written> {
        let receiver = json!({"global": {"scrape_interval": self.interval}});
        let receiver = self
            .server(&format!("receiver-{profile}"), &receiver)
            .await?;
        let (home, _) = self.configs(profile, &edge.address)?;
        let mut writing = config.clone();
        writing["global"]["external_labels"] = json!({"cluster": EDGE});
        writing["remote_write"] = json!([{
            "url": format!("http://{}/api/v1/write", receiver.address),
            "write_relabel_configs": kept(&home)?,
        }]);
        edge.reload(&writing).await?;
        let every = self.every()?;
        // The first samples bring the metadata of all series.
        sleep(every).await;
        let bytes = "prometheus_remote_storage_bytes_total";
        let samples = "prometheus_remote_storage_samples_total";
        let (begin, cpu) = (Instant::now(), edge.cpu()?);
        let before = (edge.own(bytes).await?, edge.own(samples).await?);
        sleep(every * 2).await;
        let intervals = begin.elapsed().as_secs_f64() / every.as_secs_f64();
        let written = Written {
            bytes: (edge.own(bytes).await? - before.0) / intervals,
            samples: (edge.own(samples).await? - before.1) / intervals,
            cpu: ((edge.cpu()? - cpu) - idle * begin.elapsed().as_secs_f64()) / intervals,
            memory: receiver.most_memory()?,
        };
        edge.reload(config).await?;
        receiver.stop().await?;
        Ok(written)
    }

    /// The edges of Kiali's graph of connections and of requests in a home, and how far their rates are from the truth.
    async fn graph(&self, home: &Server) -> Result<Graph> {
        let window = (self.every()? * 6).as_secs();
        let rates = |name: &str| {
            format!("sum by (source_workload, destination_workload) (rate({name}[{window}s]) > 0)")
        };
        let mut graph = Graph::default();
        for (name, each) in [
            ("istio_tcp_received_bytes_total", mesh::CONNECTION),
            ("istio_requests_total", mesh::REQUESTS),
        ] {
            let rates = home.query(&rates(name)).await?;
            graph.edges.push(rates.len());
            let wrong = rates.iter().map(|rate| (rate / each - 1.0).abs());
            graph.wrong = wrong.fold(graph.wrong, f64::max);
        }
        Ok(graph)
    }

    /// The rate of four ztunnels, of which one restarts: how far it is from the truth at most.
    async fn restarted(&self) -> Result<Vec<Wrong>> {
        const NODES: usize = 4;
        // Each counts a thousand a second.
        const TRUE: f64 = 1000.0 * NODES as f64;
        let served = Mesh::of_one_edge(NODES).serve().await?;
        let (_, config) = self.configs("core", "127.0.0.1:9090")?;
        let config = scraping(config, &served);
        let edge = self.server("edge-restart", &config).await?;
        let mut homes = Vec::new();
        for profile in PROFILES {
            let (config, _) = self.configs(profile, &edge.address)?;
            let name = format!("home-restart-{profile}");
            homes.push((profile, self.server(&name, &config).await?));
        }
        let every = self.every()?;
        // Kiali's shortest and its usual duration, which are a minute and five with the default interval.
        let windows = [4, 20];
        sleep(every * 22).await;
        served.mesh.restart(0);
        let all = PROFILES.into_iter();
        let all = all.flat_map(|profile| windows.map(|window| Wrong::none(profile, window)));
        let mut wrong = all.collect::<Vec<_>>();
        let begin = Instant::now();
        while begin.elapsed() < every * 24 {
            for wrong in &mut wrong {
                let (_, home) = homes
                    .iter()
                    .find(|(profile, _)| *profile == wrong.profile)
                    .context("no home")?;
                let window = (every * wrong.intervals).as_secs();
                let query = format!("sum(rate(istio_tcp_received_bytes_total[{window}s]))");
                let rate = home.query(&query).await?;
                wrong.saw(rate.first().context("no rate")? / TRUE - 1.0);
            }
            sleep(Duration::from_secs(1)).await;
        }
        Ok(wrong)
    }
}

/// The configuration in a rendered ConfigMap.
fn configuration(folder: &Path, name: &str) -> Result<Value> {
    for entry in std::fs::read_dir(folder)? {
        let text = std::fs::read_to_string(entry?.path())?;
        let Ok(object) = serde_yaml::from_str::<Value>(&text) else {
            continue;
        };
        if object["kind"] == "ConfigMap" && object["metadata"]["name"] == name {
            let config = object["data"]["prometheus.yml"].as_str();
            return Ok(serde_yaml::from_str(config.context("a configuration")?)?);
        }
    }
    anyhow::bail!("{} has no ConfigMap {name}", folder.display())
}

/// The configuration of the edge, with generated pods in place of those of an API server.
fn scraping(mut config: Value, served: &Served) -> Value {
    let job = &mut config["scrape_configs"][0];
    if let Some(job) = job.as_object_mut() {
        job.remove("kubernetes_sd_configs");
    }
    job["static_configs"] = served.discovered();
    config
}

/// The rules that keep on the edge what home's selectors pull.
fn kept(home: &Value) -> Result<Value> {
    let selectors = home["scrape_configs"][0]["params"]["match[]"].as_array();
    let selectors = selectors
        .context("selectors")?
        .iter()
        .filter_map(Value::as_str);
    let names = selectors.filter_map(|selector| {
        let rest = selector.strip_prefix("{__name__=~\"")?;
        rest.split('"').next()
    });
    let names = names.collect::<Vec<_>>();
    let mut rules = Vec::new();
    if !names.is_empty() {
        rules.push(
            json!({"action": "keep", "source_labels": ["__name__"], "regex": names.join("|")}),
        );
    }
    let dropped = home["scrape_configs"][0]["metric_relabel_configs"].as_array();
    rules.extend(
        dropped
            .into_iter()
            .flatten()
            .filter(|rule| rule["action"] == "labeldrop")
            .cloned(),
    );
    Ok(rules.into())
}

#[cfg(test)]
mod tests;
