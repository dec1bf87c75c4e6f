//! What the federating Prometheus tells: its targets, its age, and the series that Kiali draws the graph from.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

use super::{Known, Question};
use crate::doctor::PATIENCE;
use crate::guide::Step;
use crate::k8s::forward::Connection;
pub use crate::prometheus::Reporter;
use crate::prometheus::{self, Answer, Sample};
use crate::run::Run;
use crate::steps::aggregate_metrics::{self, ActiveTarget, Federation};
use crate::visible;

/// Far more pairs of clusters than any mesh has.
const MOST: usize = 10_000;
/// The ends of a connection, by the clusters that they name.
const ENDS: &str = "cluster, reporter, source_cluster, destination_cluster";
const BYTES: &str = "istio_tcp_received_bytes_total";
const OPENED: &str = "istio_tcp_connections_opened_total";
const FAILED: &str = "istio_tcp_connections_failed_total";
const REQUESTS: &str = "istio_requests_total";

pub struct Metrics {
    pub targets: Known<Vec<ActiveTarget>>,
    pub server: Known<Server>,
    /// The number of Istio's series for each label `cluster`; None is the number of those without the label.
    pub series: Known<BTreeMap<Option<String>, f64>>,
    /// The names in labels `exported_cluster`, each with that in label `cluster`.
    pub renamed: Known<Vec<(String, String)>>,
    /// Seconds since the newest sample of each cluster.
    pub ages: Known<BTreeMap<String, f64>>,
    /// The clusters that had series when the window began.
    pub covered: Known<Vec<String>>,
    /// The clusters with series of a ztunnel.
    pub ztunnels: Known<Vec<String>>,
    /// The clusters with series of a waypoint.
    pub waypoints: Known<Vec<String>>,
    /// The longest scrape of each job in the window that was in time, in seconds.
    pub slowest: Known<BTreeMap<String, f64>>,
    /// The ends that all series name.
    pub ends: Known<Vec<Flow>>,
    pub traffic: Known<Traffic>,
}

/// The server as it runs.
#[derive(Clone, Debug)]
pub struct Server {
    /// How long it has run, by the clock of home's API server.
    pub age: Option<Duration>,
    /// As in "15d".
    pub retention: String,
}

/// What the question is about.
pub struct Traffic {
    /// The flows that grew in the window: bytes or requests.
    pub moved: Vec<Flow>,
    /// The connections that failed in the window.
    pub failed: Vec<Flow>,
    /// All connections that are counted.
    pub counted: f64,
    /// Those in series that are younger than the window.
    pub new: f64,
}

/// What one end reports of connections between two clusters.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// The cluster whose Prometheus has the series.
    pub cluster: String,
    pub reporter: Reporter,
    pub source: String,
    pub destination: String,
    pub flags: String,
    pub count: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeInfo {
    #[serde(deserialize_with = "visible::said")]
    start_time: String,
    #[serde(deserialize_with = "visible::said")]
    storage_retention: String,
}

pub async fn gather(run: &Run<'_>, question: &Question) -> Known<Metrics> {
    if let Some(store) = &run.settings.store {
        return Err(format!(
            "the metrics are in the store at {}, which is not asked for traffic",
            store.url
        ));
    }
    let home = run.on(Step::AggregateMetrics, &run.mesh.home);
    let connection = async { Federation::find(&home).await?.connect(PATIENCE).await };
    let mut connection = connection.await.map_err(|error| format!("{error:#}"))?;
    let prometheus = &mut connection;
    let window = question.window.as_secs();
    Ok(Metrics {
        targets: said(aggregate_metrics::targets(prometheus).await),
        server: said(server(prometheus, home.cluster.server_time()).await),
        series: said(series(prometheus).await),
        renamed: said(renamed(prometheus).await),
        ages: said(ages(prometheus).await),
        covered: said(covered(prometheus, window).await),
        ztunnels: said(ztunnels(prometheus).await),
        waypoints: said(waypoints(prometheus).await),
        slowest: said(slowest(prometheus, window, run.settings.metrics.interval.duration()).await),
        ends: said(
            flows(
                prometheus,
                &format!("sum by ({ENDS}) ({{__name__=~\"{BYTES}|{REQUESTS}\"}})"),
            )
            .await,
        ),
        traffic: said(traffic(prometheus, &selector(question), window).await),
    })
}

fn said<T>(answer: Result<T>) -> Known<T> {
    answer.map_err(|error| format!("federating Prometheus: {error:#}"))
}

/// The names are DNS labels, so nothing in them needs quotes.
fn selector(question: &Question) -> String {
    let namespace = question.namespace.as_ref();
    let namespace = namespace.map(|name| format!("destination_service_namespace=\"{name}\""));
    let service = question.service.as_ref();
    let service = service.map(|name| format!("destination_service_name=\"{name}\""));
    let labels = namespace.into_iter().chain(service).collect::<Vec<_>>();
    format!("{{{}}}", labels.join(", "))
}

async fn server(connection: &mut Connection, now: Option<Timestamp>) -> Result<Server> {
    let answer: Answer<RuntimeInfo> = connection.get("/api/v1/status/runtimeinfo").await?;
    let started = answer.data.start_time.parse::<Timestamp>();
    let started = started.context("its start time")?;
    let age = now.map(|now| now.duration_since(started));
    Ok(Server {
        age: age.and_then(|age| Duration::try_from(age).ok()),
        retention: answer.data.storage_retention,
    })
}

async fn query(connection: &mut Connection, query: &str) -> Result<Vec<Sample>> {
    let samples = prometheus::query(connection, query).await?;
    ensure!(
        samples.len() <= MOST,
        "it answers with more than {MOST} series"
    );
    Ok(samples)
}

async fn series(connection: &mut Connection) -> Result<BTreeMap<Option<String>, f64>> {
    let samples = query(connection, "count by (cluster) ({__name__=~\"istio_.+\"})").await?;
    let one = |mut sample: Sample| {
        let count = sample.count()?;
        // A missing label and an empty one are the same.
        let cluster = sample
            .metric
            .remove("cluster")
            .filter(|name| !name.is_empty());
        Some((cluster, count))
    };
    Ok(samples.into_iter().filter_map(one).collect())
}

async fn renamed(connection: &mut Connection) -> Result<Vec<(String, String)>> {
    let asked = "count by (cluster, exported_cluster) ({exported_cluster!=\"\"})";
    let samples = query(connection, asked).await?.into_iter();
    let names = |mut sample: Sample| {
        let mut label = |name: &str| sample.metric.remove(name).unwrap_or_default();
        (label("exported_cluster"), label("cluster"))
    };
    Ok(samples.map(names).collect())
}

async fn ages(connection: &mut Connection) -> Result<BTreeMap<String, f64>> {
    let asked =
        format!("time() - max by (cluster) (timestamp({{__name__=~\"istio_build|{BYTES}\"}}))");
    let samples = query(connection, &asked).await?.into_iter();
    Ok(samples.filter_map(by_cluster).collect())
}

async fn covered(connection: &mut Connection, window: u64) -> Result<Vec<String>> {
    let asked = format!("count by (cluster) (istio_build offset {window}s)");
    clusters(connection, &asked).await
}

async fn ztunnels(connection: &mut Connection) -> Result<Vec<String>> {
    // A Prometheus of the user's may drop one of them.
    let asked =
        "count by (cluster) (istio_build{component=\"ztunnel\"} or {__name__=~\"istio_tcp_.+\"})";
    clusters(connection, asked).await
}

async fn waypoints(connection: &mut Connection) -> Result<Vec<String>> {
    let asked =
        format!("count by (cluster) ({{__name__=~\"{BYTES}|{REQUESTS}\", reporter=\"waypoint\"}})");
    clusters(connection, &asked).await
}

async fn slowest(
    connection: &mut Connection,
    window: u64,
    interval: Duration,
) -> Result<BTreeMap<String, f64>> {
    let step = interval.as_secs().max(1);
    let asked = format!(
        "max by (job) (max_over_time((scrape_duration_seconds and up == 1)[{window}s:{step}s]))"
    );
    let samples = query(connection, &asked).await?.into_iter();
    let one = |mut sample: Sample| Some((sample.metric.remove("job")?, sample.value()?));
    Ok(samples.filter_map(one).collect())
}

async fn clusters(connection: &mut Connection, asked: &str) -> Result<Vec<String>> {
    let samples = query(connection, asked).await?.into_iter();
    let names = samples.filter_map(by_cluster).map(|(name, _)| name);
    Ok(names.collect())
}

fn by_cluster(mut sample: Sample) -> Option<(String, f64)> {
    let count = sample.count()?;
    Some((sample.metric.remove("cluster")?, count))
}

async fn traffic(connection: &mut Connection, select: &str, window: u64) -> Result<Traffic> {
    let grown = |counter: &str| format!("increase({counter}{select}[{window}s])");
    let moved =
        [BYTES, REQUESTS].map(|counter| format!("sum by ({ENDS}) ({}) > 0", grown(counter)));
    let moved = flows(connection, &moved.join(" or ")).await?;
    let failed = format!("sum by ({ENDS}, response_flags) ({}) > 0", grown(FAILED));
    let failed = flows(connection, &failed).await?;
    let all = format!("{OPENED}{select}");
    let counted = number(connection, &format!("sum({all})")).await?;
    let new = format!("sum({all} unless {all} offset {window}s)");
    Ok(Traffic {
        moved,
        failed,
        counted,
        new: number(connection, &new).await?,
    })
}

/// The only number of a query; 0 without any series.
async fn number(connection: &mut Connection, asked: &str) -> Result<f64> {
    let samples = query(connection, asked).await?;
    Ok(samples.first().and_then(Sample::count).unwrap_or_default())
}

async fn flows(connection: &mut Connection, asked: &str) -> Result<Vec<Flow>> {
    let samples = query(connection, asked).await?.into_iter();
    Ok(samples.filter_map(Flow::of).collect())
}

impl Flow {
    /// None for what no ztunnel and no waypoint reports.
    fn of(mut sample: Sample) -> Option<Flow> {
        let count = sample.count()?;
        let mut label = |name: &str| sample.metric.remove(name).unwrap_or_default();
        let reporter = match label("reporter").as_str() {
            "source" => Reporter::Source,
            // A waypoint reports in place of the receiver's ztunnel.
            "destination" | "waypoint" => Reporter::Destination,
            _ => return None,
        };
        Some(Flow {
            reporter,
            cluster: label("cluster"),
            source: label("source_cluster"),
            destination: label("destination_cluster"),
            flags: label("response_flags"),
            count,
        })
    }

    /// The cluster that the reporting end says it is in.
    pub fn own(&self) -> &str {
        match self.reporter {
            Reporter::Source => &self.source,
            Reporter::Destination => &self.destination,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_federating_prometheus_answers_is_read_or_refused() {
        let samples = [
            r#"{"status": "success", "data": {"startTime": "2026-01-01T00:00:00.5Z",
                "storageRetention": "15d", "goroutineCount": 41}}"#,
            r#"{"status": "error", "errorType": "bad_data", "error": "invalid"}"#,
        ];
        crate::fuzz::fuzz("Prometheus' runtime information", &samples, |input| {
            let read = serde_json::from_slice::<Answer<RuntimeInfo>>(input);
            let _ = read.map(|read| read.data.start_time.parse::<Timestamp>().is_ok());
        });
    }

    #[test]
    fn a_question_selects_by_the_service() {
        let question = |namespace: Option<&str>, service: Option<&str>| Question {
            window: Duration::from_secs(60),
            namespace: namespace.map(Into::into),
            service: service.map(Into::into),
        };
        assert_eq!(selector(&question(None, None)), "{}");
        assert_eq!(
            selector(&question(Some("a"), Some("b"))),
            "{destination_service_namespace=\"a\", destination_service_name=\"b\"}"
        );
    }
}
